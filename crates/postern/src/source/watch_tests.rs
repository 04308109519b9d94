use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, time::Duration};

use tokio::{sync::watch::Receiver, time::timeout};

use super::start;
use crate::source::{Update, file::Files};

fn service(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  ports:\n  - port: 1\n"
    )
}

fn names(update: &Update) -> Vec<&str> {
    update
        .resources
        .services
        .keys()
        .map(|key| key.name.as_ref())
        .collect()
}

fn watch(path: &Path) -> Receiver<Arc<Update>> {
    start(Files::open(&[path.to_owned()]).unwrap()).unwrap().0
}

/// Waits for an update with just these Services: the watch has to bring it long before it looks without any event.
async fn expect(updates: &mut Receiver<Arc<Update>>, wanted: &[&str]) {
    let wait = updates.wait_for(|update| names(update) == wanted);
    let came = timeout(Duration::from_secs(8), wait)
        .await
        .is_ok_and(|update| update.is_ok());
    assert!(
        came,
        "wanted {wanted:?}, have {:?}",
        names(&updates.borrow())
    );
}

#[tokio::test]
async fn changes_arrive_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifests");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a.yaml"), service("a")).unwrap();
    let mut updates = watch(&path);
    expect(&mut updates, &["a"]).await;
    fs::write(path.join("b.yaml"), service("b")).unwrap();
    expect(&mut updates, &["a", "b"]).await;
    fs::create_dir(path.join("deep")).unwrap();
    fs::write(path.join("deep/c.yaml"), service("c")).unwrap();
    expect(&mut updates, &["a", "b", "c"]).await;
    fs::write(path.join("new"), service("d")).unwrap();
    fs::rename(path.join("new"), path.join("a.yaml")).unwrap();
    expect(&mut updates, &["b", "c", "d"]).await;
    fs::remove_file(path.join("b.yaml")).unwrap();
    expect(&mut updates, &["c", "d"]).await;
}

#[tokio::test]
async fn a_directory_may_be_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifests");
    let make = |at: &Path, name: &str| {
        fs::create_dir(at).unwrap();
        fs::write(at.join("a.yaml"), service(name)).unwrap();
    };
    make(&path, "a");
    let mut updates = watch(&path);
    expect(&mut updates, &["a"]).await;
    let next = folder.path().join("next");
    make(&next, "b");
    fs::rename(&path, folder.path().join("old")).unwrap();
    fs::rename(&next, &path).unwrap();
    expect(&mut updates, &["b"]).await;
    fs::write(path.join("c.yaml"), service("c")).unwrap();
    expect(&mut updates, &["b", "c"]).await;
}

#[tokio::test]
async fn a_single_file_is_followed_through_renames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    fs::write(&path, service("a")).unwrap();
    let mut updates = watch(&path);
    expect(&mut updates, &["a"]).await;
    for name in ["b", "c"] {
        let next = folder.path().join("next");
        fs::write(&next, service(name)).unwrap();
        fs::rename(&next, &path).unwrap();
        expect(&mut updates, &[name]).await;
    }
}

#[tokio::test]
async fn what_links_lead_to_is_followed_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifests");
    let outside = folder.path().join("outside");
    for directory in [&path, &outside, &outside.join("deep")] {
        fs::create_dir(directory).unwrap();
    }
    fs::write(outside.join("a.yaml"), service("a")).unwrap();
    fs::write(folder.path().join("b"), service("b")).unwrap();
    symlink(&outside, path.join("link")).unwrap();
    symlink(&path, outside.join("back")).unwrap();
    let mut updates = watch(&path);
    expect(&mut updates, &["a"]).await;
    fs::write(outside.join("deep/c.yaml"), service("c")).unwrap();
    expect(&mut updates, &["a", "c"]).await;
    symlink(folder.path().join("b"), path.join("b.yaml")).unwrap();
    expect(&mut updates, &["a", "b", "c"]).await;
    fs::write(folder.path().join("b"), service("d")).unwrap();
    expect(&mut updates, &["a", "c", "d"]).await;
}
