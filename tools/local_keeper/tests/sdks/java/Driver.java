import com.keepersecurity.secretsManager.core.*;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Runs operations of the official Java SDK; see ../README.md. */
public class Driver {
    private static SecretsManagerOptions options;

    public static void main(String[] arguments) throws Exception {
        String config = new String(Base64.getDecoder().decode(System.getenv("KSM_CONFIG")), StandardCharsets.UTF_8);
        addServerKey(config);
        options = new SecretsManagerOptions(storage(config));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            try {
                System.out.println(run(line.split("\t", -1)));
            } catch (Exception error) {
                System.out.println("error\t" + error.toString().replace("\n", " "));
            }
            System.out.flush();
        }
    }

    /** The SDK rejects serverPublicKey in configurations, so local Keeper's key is added to the SDK's table. */
    @SuppressWarnings("unchecked")
    private static void addServerKey(String config) throws Exception {
        var field = SecretsManager.class.getDeclaredField("keeperPublicKeys");
        field.setAccessible(true);
        byte[] key = Base64.getUrlDecoder().decode(value(config, "serverPublicKey"));
        ((Map<Integer, byte[]>) field.get(null)).put(Integer.parseInt(value(config, "serverPublicKeyId")), key);
    }

    /** A first request needs a public key that only initializeStorage() stores. */
    private static KeyValueStorage storage(String config) {
        if (!config.contains("\"clientKey\"")) {
            return new InMemoryStorage(config.replaceAll(", \"serverPublicKey\": \"[^\"]*\"", ""));
        }
        KeyValueStorage storage = new InMemoryStorage();
        SecretsManager.initializeStorage(storage, value(config, "clientKey"), value(config, "hostname"));
        storage.saveString("serverPublicKeyId", value(config, "serverPublicKeyId"));
        return storage;
    }

    private static String value(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\": \"([^\"]*)\"").matcher(json);
        if (!found.find()) throw new IllegalArgumentException(name);
        return found.group(1);
    }

    private static KeeperRecord record(String title) {
        KeeperRecord found = SecretsManager.getSecrets(options).getSecretByTitle(title);
        if (found == null) throw new NoSuchElementException("no record " + title);
        return found;
    }

    private static KeeperFolder folder(String name) {
        return SecretsManager.getFolders(options).stream().filter(item -> name.equals(item.getName())).findFirst().orElseThrow();
    }

    private static KeeperFile file(KeeperRecord record, String name) {
        return Objects.requireNonNull(record.getFileByName(name), name);
    }

    private static String sorted(Stream<String> words) {
        return words.distinct().sorted().collect(Collectors.joining(", "));
    }

    private static boolean nested(KeeperFolder folder) {
        return folder.getParentUid() != null && !folder.getParentUid().isEmpty();
    }

    private static String folders() {
        List<KeeperFolder> all = SecretsManager.getFolders(options);
        Map<String, String> names = all.stream().collect(Collectors.toMap(KeeperFolder::getFolderUid, KeeperFolder::getName));
        return sorted(all.stream().map(item -> nested(item) ? item.getName() + " in " + names.get(item.getParentUid()) : item.getName()));
    }

    private static String where(String title) {
        KeeperRecord found = record(title);
        String inner = found.getInnerFolderUid();
        String uid = inner == null || inner.isEmpty() ? found.getFolderUid() : inner;
        return SecretsManager.getFolders(options).stream()
                .filter(item -> item.getFolderUid().equals(uid)).findFirst().orElseThrow().getName();
    }

    private static String create(String folderName, String title, String password) {
        KeeperFolder target = folder(folderName);
        CreateOptions where = nested(target)
                ? new CreateOptions(target.getParentUid(), target.getFolderUid())
                : new CreateOptions(target.getFolderUid());
        List<KeeperRecordField> fields = new ArrayList<>(List.of(new Password(password)));
        KeeperRecordData content = new KeeperRecordData(title, "login", fields, new ArrayList<>(), null);
        SecretsManager.createSecret2(options, where, content, SecretsManager.getFolders(options));
        return "ok";
    }

    private static String save(String title, String password, UpdateTransactionType transaction) {
        KeeperRecord found = record(title);
        found.updatePassword(password);
        SecretsManager.updateSecretWithOptions(options, found, new UpdateOptions(transaction, null));
        return "ok";
    }

    private static String unlink(String title, String name) {
        KeeperRecord found = record(title);
        List<String> links = List.of(file(found, name).getFileUid());
        SecretsManager.updateSecretWithOptions(options, found, new UpdateOptions(null, links));
        return "ok";
    }

    private static String complete(String title, boolean rollback) {
        SecretsManager.completeTransaction(options, record(title).getRecordUid(), rollback);
        return "ok";
    }

    private static String upload(String title, String name, String fileTitle, String type, String content) {
        byte[] data = content.getBytes(StandardCharsets.UTF_8);
        SecretsManager.uploadFile(options, record(title), new KeeperFileUpload(name, fileTitle, type, data));
        return "ok";
    }

    private static String attachments(String title) {
        List<KeeperFile> files = record(title).getFiles();
        return files == null ? "" : sorted(files.stream().map(KeeperFile::getData)
                .map(data -> data.getName() + " (" + data.getTitle() + ", " + data.getType() + ")"));
    }

    private static String run(String[] a) {
        switch (a[0]) {
            case "titles": return sorted(SecretsManager.getSecrets(options).getRecords().stream().map(KeeperRecord::getTitle));
            case "folders": return folders();
            case "notation": return SecretsManager.getNotationResults(options, a[1]).get(0);
            case "where": return where(a[1]);
            case "create": return create(a[1], a[2], a[3]);
            case "update": return save(a[1], a[2], null);
            case "rotate": return save(a[1], a[2], UpdateTransactionType.ROTATION);
            case "finalize": return complete(a[1], false);
            case "rollback": return complete(a[1], true);
            case "delete": {
                List<String> uids = List.of(record(a[1]).getRecordUid());
                return SecretsManager.deleteSecret(options, uids).getRecords().get(0).getResponseCode();
            }
            case "create-folder":
                SecretsManager.createFolder(options, new CreateOptions(folder(a[1]).getFolderUid()), a[2]);
                return "ok";
            case "rename-folder":
                SecretsManager.updateFolder(options, folder(a[1]).getFolderUid(), a[2]);
                return "ok";
            case "delete-folder": return deleteFolder(a[1], false);
            case "delete-folder-with-content": return deleteFolder(a[1], true);
            case "upload": return upload(a[1], a[2], a[3], a[4], a[5]);
            case "download": {
                byte[] content = SecretsManager.downloadFile(file(record(a[1]), a[2]));
                return new String(content, StandardCharsets.UTF_8).stripTrailing();
            }
            case "attachments": return attachments(a[1]);
            case "unlink": return unlink(a[1], a[2]);
            default: throw new IllegalArgumentException(a[0]);
        }
    }

    /** The SDK's answer has no codes of folders, only of records: what is gone says whether it worked. */
    private static String deleteFolder(String name, boolean force) {
        String uid = folder(name).getFolderUid();
        SecretsManager.deleteFolder(options, List.of(uid), force);
        boolean gone = SecretsManager.getFolders(options).stream().noneMatch(item -> item.getFolderUid().equals(uid));
        return gone ? "ok" : "not_empty";
    }
}
