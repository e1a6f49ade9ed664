//! Runs operations of the official Rust SDK; see ../README.md.

use keeper_secrets_manager_core::core::{ClientOptions, SecretsManager};
use keeper_secrets_manager_core::dto::dtos::{KeeperFileUpload, KeeperFolder, RecordCreate};
use keeper_secrets_manager_core::dto::field_structs::RecordField;
use keeper_secrets_manager_core::dto::payload::{CreateOptions, UpdateOptions, UpdateTransactionType};
use keeper_secrets_manager_core::dto::Record;
use keeper_secrets_manager_core::storage::InMemoryKeyValueStorage;
use std::collections::BTreeSet;
use std::error::Error;
use std::io::BufRead;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn record(sdk: &mut SecretsManager, title: &str) -> Outcome<Record> {
    let found = sdk.get_secrets(vec![])?.into_iter().find(|item| item.title == title);
    found.ok_or_else(|| format!("no record {title}").into())
}

fn folder(sdk: &mut SecretsManager, matches: impl Fn(&KeeperFolder) -> bool) -> Outcome<KeeperFolder> {
    let found = sdk.get_folders()?.into_iter().find(|item| matches(item));
    found.ok_or_else(|| "no such folder".into())
}

fn named(sdk: &mut SecretsManager, name: &str) -> Outcome<KeeperFolder> {
    folder(sdk, |item| item.name == name)
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

fn folders(sdk: &mut SecretsManager) -> Outcome<String> {
    let all = sdk.get_folders()?;
    let parent = |item: &KeeperFolder| all.iter().find(|other| other.folder_uid == item.parent_uid);
    Ok(joined(all.iter().map(|item| match parent(item) {
        Some(found) => format!("{} in {}", item.name, found.name),
        None => item.name.clone(),
    })))
}

fn create(sdk: &mut SecretsManager, folder_name: &str, title: &str, password: &str) -> Outcome<String> {
    let target = named(sdk, folder_name)?;
    let mut content = RecordCreate::new("login", title, None);
    let value = vec![password].into();
    content.append_standard_fields(RecordField::new("password".into(), value, None, false, false));
    sdk.create_secret(target.folder_uid, content)?;
    Ok("ok".into())
}

fn save(sdk: &mut SecretsManager, title: &str, password: &str, transaction: Option<UpdateTransactionType>) -> Outcome<String> {
    let mut found = record(sdk, title)?;
    found.set_standard_field_value_mut("password", password.into())?;
    match transaction {
        Some(kind) => sdk.update_secret_with_transaction(found, kind)?,
        None => sdk.update_secret(found)?,
    }
    Ok("ok".into())
}

fn delete_folder(sdk: &mut SecretsManager, name: &str, force: bool) -> Outcome<String> {
    let uid = named(sdk, name)?.folder_uid;
    let answers = sdk.delete_folder(vec![uid], force)?;
    Ok(answers[0]["responseCode"].as_str().unwrap_or_default().into())
}

fn attachment(sdk: &mut SecretsManager, title: &str, name: &str, remove: bool) -> Outcome<String> {
    let mut found = record(sdk, title)?;
    let file = found.files.iter_mut().find(|item| item.name == name).ok_or("no such file")?;
    if !remove {
        let content = file.get_file_data()?.ok_or("no content")?;
        return Ok(String::from_utf8(content)?.trim_end().into());
    }
    let links = vec![file.uid.clone()];
    sdk.update_secret_with_options(found, UpdateOptions::with_links_removal(links))?;
    Ok("ok".into())
}

fn run(sdk: &mut SecretsManager, line: &[&str]) -> Outcome<String> {
    match *line {
        ["titles"] => Ok(joined(sdk.get_secrets(vec![])?.into_iter().map(|item| item.title))),
        ["folders"] => folders(sdk),
        ["notation", notation] => {
            let values = sdk.get_notation_result(notation)?;
            values.into_iter().next().ok_or_else(|| "no value".into())
        }
        ["where", title] => {
            let found = record(sdk, title)?;
            let uid = found.inner_folder_uid.filter(|uid| !uid.is_empty()).unwrap_or(found.folder_uid);
            Ok(folder(sdk, |item| item.folder_uid == uid)?.name)
        }
        ["create", folder_name, title, password] => create(sdk, folder_name, title, password),
        ["update", title, password] => save(sdk, title, password, None),
        ["rotate", title, password] => save(sdk, title, password, Some(UpdateTransactionType::Rotation)),
        ["finalize", title] | ["rollback", title] => {
            let uid = record(sdk, title)?.uid;
            sdk.complete_transaction(uid, line[0] == "rollback")?;
            Ok("ok".into())
        }
        ["delete", title] => {
            let uid = record(sdk, title)?.uid;
            let deleted = sdk.delete_secret(vec![uid.clone()])?;
            Ok(if deleted.contains(&uid) { "ok".into() } else { deleted })
        }
        ["create-folder", parent, name] => {
            let uid = named(sdk, parent)?.folder_uid;
            sdk.create_folder(CreateOptions::new(uid, None), name.into(), vec![])?;
            Ok("ok".into())
        }
        ["rename-folder", name, renamed] => {
            let uid = named(sdk, name)?.folder_uid;
            sdk.update_folder(uid, renamed.into(), vec![])?;
            Ok("ok".into())
        }
        ["delete-folder", name] => delete_folder(sdk, name, false),
        ["delete-folder-with-content", name] => delete_folder(sdk, name, true),
        ["upload", title, name, file_title, media_type, content] => {
            let file = KeeperFileUpload {
                name: name.into(),
                data: content.into(),
                title: file_title.into(),
                mime_type: media_type.into(),
            };
            let owner = record(sdk, title)?;
            sdk.upload_file(owner, file)?;
            Ok("ok".into())
        }
        ["download", title, name] => attachment(sdk, title, name, false),
        ["unlink", title, name] => attachment(sdk, title, name, true),
        ["attachments", title] => {
            let files = record(sdk, title)?.files;
            Ok(joined(files.into_iter().map(|item| format!("{} ({}, {})", item.name, item.title, item.file_type))))
        }
        _ => Err(format!("unknown operation {line:?}").into()),
    }
}

fn main() -> Outcome<()> {
    let config = InMemoryKeyValueStorage::new_config_storage(Some(std::env::var("KSM_CONFIG")?))?;
    let mut sdk = SecretsManager::new(ClientOptions::new_client_options(config))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split('\t').collect();
        match run(&mut sdk, &words) {
            Ok(result) => println!("{result}"),
            Err(error) => println!("error\t{}", error.to_string().replace('\n', " ")),
        }
    }
    Ok(())
}
