// Run operations of the official JavaScript SDK; see ../README.md.
'use strict'

const readline = require('node:readline')
const sdk = require('@keeper-security/secrets-manager-core')

const options = { storage: sdk.loadJsonConfig(process.env.KSM_CONFIG) }
const config = JSON.parse(Buffer.from(process.env.KSM_CONFIG, 'base64'))

const records = async () => (await sdk.getSecrets(options)).records
const record = async (title) => (await records()).find((item) => item.data.title === title)
const folder = async (name) => (await sdk.getFolders(options)).find((item) => item.name === name)
const file = async (title, name) => (await record(title)).files.find((item) => item.data.name === name)

async function folders() {
    const all = await sdk.getFolders(options)
    const names = Object.fromEntries(all.map((item) => [item.folderUid, item.name]))
    return all.map((item) => (item.parentUid ? `${item.name} in ${names[item.parentUid]}` : item.name)).sort().join(', ')
}

async function where(title) {
    const found = await record(title)
    const uid = found.innerFolderUid || found.folderUid
    return (await sdk.getFolders(options)).find((item) => item.folderUid === uid).name
}

async function create(folderName, title, password) {
    const target = await folder(folderName)
    const where = target.parentUid
        ? { folderUid: target.parentUid, subFolderUid: target.folderUid }
        : { folderUid: target.folderUid }
    const fields = [{ type: 'password', value: [password] }]
    await sdk.createSecret2(options, where, { title, type: 'login', fields, custom: [] })
    return 'ok'
}

async function save(title, password, transaction) {
    const found = await record(title)
    found.data.fields.find((item) => item.type === 'password').value = [password]
    await sdk.updateSecret(options, found, transaction)
    return 'ok'
}

async function complete(title, rollback) {
    await sdk.completeTransaction(options, (await record(title)).recordUid, rollback)
    return 'ok'
}

async function upload(title, name, fileTitle, type, content) {
    await sdk.uploadFile(options, await record(title), { name, title: fileTitle, type, data: Buffer.from(content) })
    return 'ok'
}

async function attachments(title) {
    const files = (await record(title)).files || []
    return files.map(({ data }) => `${data.name} (${data.title}, ${data.type})`).sort().join(', ')
}

async function unlink(title, name) {
    const found = await record(title)
    const links2Remove = [found.files.find((item) => item.data.name === name).fileUid]
    await sdk.updateSecret2(options, found, { links2Remove })
    return 'ok'
}

async function deleteFolder(name, force) {
    return (await sdk.deleteFolder(options, [(await folder(name)).folderUid], force)).folders[0].responseCode
}

const operations = {
    titles: async () => [...new Set((await records()).map((item) => item.data.title))].sort().join(', '),
    folders,
    notation: async (notation) => (await sdk.getNotationResults(options, notation))[0],
    where,
    create,
    update: save,
    rotate: (title, password) => save(title, password, 'rotation'),
    finalize: (title) => complete(title, false),
    rollback: (title) => complete(title, true),
    delete: async (title) => (await sdk.deleteSecret(options, [(await record(title)).recordUid])).records[0].responseCode,
    'create-folder': async (parent, name) => {
        await sdk.createFolder(options, { folderUid: (await folder(parent)).folderUid }, name)
        return 'ok'
    },
    'rename-folder': async (name, renamed) => {
        await sdk.updateFolder(options, (await folder(name)).folderUid, renamed)
        return 'ok'
    },
    'delete-folder': (name) => deleteFolder(name, false),
    'delete-folder-with-content': (name) => deleteFolder(name, true),
    upload,
    download: async (title, name) => Buffer.from(await sdk.downloadFile(await file(title, name))).toString().trimEnd(),
    attachments,
    unlink,
}

async function main() {
    if (config.clientKey) await sdk.initializeStorage(options.storage, config.clientKey, config.hostname)
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const [operation, ...args] = line.split('\t')
        try {
            console.log(await operations[operation](...args))
        } catch (error) {
            console.log(`error\t${error}`.replaceAll('\n', ' '))
        }
    }
    process.exit(0)
}

main()
