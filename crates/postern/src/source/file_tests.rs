use std::{fs, os::unix::fs::symlink, path::Path};

use api::Object;

use super::{Files, read_once};
use crate::source::Update;

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  ports:\n  - port: {port}\n"
    )
}

/// Services as `name:port`.
fn services(update: &Update) -> Vec<String> {
    let services = update.resources.services.values();
    services
        .map(|service| {
            let port = service.spec.as_ref().unwrap().ports.as_ref().unwrap()[0].port;
            format!("{}:{port}", service.metadata.name.as_ref().unwrap())
        })
        .collect()
}

fn problems(update: &Update, below: &Path) -> Vec<String> {
    let below = format!("{}/", below.display());
    update
        .problems
        .iter()
        .map(|problem| problem.to_string().replace(&below, ""))
        .collect()
}

/// Looks until nothing is in doubt any more, as the watch does.
fn settle(files: &mut Files) -> Update {
    while let Some(wait) = files.look().again {
        std::thread::sleep(wait);
    }
    files.update()
}

#[test]
fn directories_files_lists_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir_all(path.join("deep/er")).unwrap();
    fs::write(
        path.join("a.yaml"),
        format!("{}---\n{}", service("a", 1), service("b", 2)),
    )
    .unwrap();
    fs::write(path.join("deep/er/c.yml"), service("c", 3)).unwrap();
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "d"}, "spec": {"ports": [{"port": 4}]}}]}"#;
    fs::write(path.join("d.json"), list).unwrap();
    fs::write(path.join("notes.txt"), "not a manifest").unwrap();
    fs::write(path.join(".hidden.yaml"), "{").unwrap();
    fs::write(path.join("old.yaml~"), "{").unwrap();
    fs::write(path.join("by-name"), service("e", 5)).unwrap();
    let update = read_once(&[path.to_owned(), path.join("by-name")]).unwrap();
    assert_eq!(services(&update), ["a:1", "b:2", "c:3", "d:4", "e:5"]);
    assert_eq!(update.problems, []);
}

#[test]
fn a_broken_file_keeps_its_last_good_state_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("a.yaml"), service("a", 1)).unwrap();
    fs::write(path.join("b.yaml"), service("b", 1)).unwrap();
    let mut files = Files::open(&[path.to_owned()]).unwrap();
    fs::write(
        path.join("a.yaml"),
        format!("{}broken: [\n", service("a", 2)),
    )
    .unwrap();
    fs::write(path.join("b.yaml"), service("b", 2)).unwrap();
    let update = settle(&mut files);
    assert_eq!(services(&update), ["a:1", "b:2"]);
    let said = problems(&update, path);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("a.yaml:"), "{said:?}");
    assert!(
        said[0].ends_with("; the last good state of this file stays in use"),
        "{said:?}"
    );
    fs::write(path.join("a.yaml"), service("a", 3)).unwrap();
    let update = settle(&mut files);
    assert_eq!(services(&update), ["a:3", "b:2"]);
    assert_eq!(update.problems, []);
}

#[test]
fn at_first_the_documents_that_parse_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let text = format!(
        "{}---\napiVersion: v1\nkind: Service\nmetadata:\n  name: bad\nspec: {{ports: nonsense}}\n",
        service("a", 1)
    );
    fs::write(path.join("a.yaml"), text).unwrap();
    let update = read_once(&[path.to_owned()]).unwrap();
    assert_eq!(services(&update), ["a:1"]);
    let said = problems(&update, path);
    assert_eq!(said, ["a.yaml:13: Service/bad: expected sequence start"]);
}

#[test]
fn a_file_that_is_being_written_is_not_believed_too_early() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let whole = format!("{}---\n{}", service("a", 1), service("b", 1));
    fs::write(path.join("a.yaml"), &whole).unwrap();
    let mut files = Files::open(&[path.to_owned()]).unwrap();
    // An editor truncates, and has written only the first document so far: well-formed, and not meant.
    fs::write(path.join("a.yaml"), service("a", 1)).unwrap();
    let seen = files.look();
    assert!(seen.again.is_some(), "somebody has to look again");
    assert_eq!(services(&files.update()), ["a:1", "b:1"]);
    fs::write(
        path.join("a.yaml"),
        format!("{}---\n{}", service("a", 1), service("c", 1)),
    )
    .unwrap();
    assert_eq!(services(&settle(&mut files)), ["a:1", "c:1"]);
    // A beginning that stays is what somebody meant.
    fs::write(path.join("a.yaml"), service("a", 1)).unwrap();
    assert_eq!(services(&settle(&mut files)), ["a:1"]);
    fs::write(path.join("a.yaml"), "").unwrap();
    assert_eq!(services(&settle(&mut files)), Vec::<String>::new());
}

#[test]
fn a_config_map_volume_swaps_all_its_files_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (version, port) in [("..v1", 1), ("..v2", 2)] {
        fs::create_dir(path.join(version)).unwrap();
        fs::write(path.join(version).join("a.yaml"), service("a", port)).unwrap();
    }
    symlink("..v1", path.join("..data")).unwrap();
    symlink("..data/a.yaml", path.join("a.yaml")).unwrap();
    let mut files = Files::open(&[path.to_owned()]).unwrap();
    assert_eq!(services(&files.update()), ["a:1"]);
    symlink("..v2", path.join("..data_tmp")).unwrap();
    fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    fs::remove_dir_all(path.join("..v1")).unwrap();
    assert_eq!(services(&settle(&mut files)), ["a:2"]);
}

#[test]
fn files_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("a.yaml"), service("a", 1)).unwrap();
    let mut files = Files::open(&[path.to_owned()]).unwrap();
    assert!(!files.look().changed);
    fs::write(path.join("b.yaml"), service("b", 1)).unwrap();
    assert!(files.look().changed);
    assert_eq!(services(&files.update()), ["a:1", "b:1"]);
    fs::remove_file(path.join("a.yaml")).unwrap();
    assert!(files.look().changed);
    assert_eq!(services(&files.update()), ["b:1"]);
}

#[test]
fn of_two_objects_of_one_name_the_first_file_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("a.yaml"), service("a", 1)).unwrap();
    fs::write(path.join("b.yaml"), service("a", 2)).unwrap();
    let update = read_once(&[path.to_owned()]).unwrap();
    assert_eq!(services(&update), ["a:1"]);
    assert_eq!(
        problems(&update, path),
        ["b.yaml:1: Service/default/a is in a.yaml:1 already, which counts; remove one of the two"]
    );
}

#[test]
fn an_object_that_did_not_change_stays_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(
        path.join("a.yaml"),
        format!("{}---\n{}", service("a", 1), service("b", 1)),
    )
    .unwrap();
    let mut files = Files::open(&[path.to_owned()]).unwrap();
    let before = files.update();
    fs::write(
        path.join("a.yaml"),
        format!("{}---\n{}", service("a", 2), service("b", 1)),
    )
    .unwrap();
    let after = settle(&mut files);
    let shared = |name: &str| {
        let find = |update: &Update| {
            let objects = update
                .resources
                .iter()
                .filter(|object| object.metadata().name.as_deref() == Some(name));
            match objects.last() {
                Some(Object::Service(service)) => service,
                other => panic!("{other:?}"),
            }
        };
        std::sync::Arc::ptr_eq(&find(&before), &find(&after))
    };
    assert!(shared("b"));
    assert!(!shared("a"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let error = read_once(&[path.join("nowhere")]).unwrap_err().to_string();
    assert!(
        error.contains("nowhere") && error.contains("give a directory or file"),
        "{error}"
    );
    fs::write(path.join("a.yaml"), [b'a', 0xff]).unwrap();
    let update = read_once(&[path.to_owned()]).unwrap();
    assert_eq!(
        problems(&update, path),
        ["a.yaml: cannot be read: not UTF-8 text (byte 1)"]
    );
    assert!(update.problems[0].is_unread());
    let large = fs::File::create(path.join("a.yaml")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    let update = read_once(&[path.to_owned()]).unwrap();
    assert_eq!(
        problems(&update, path),
        ["a.yaml: cannot be read: larger than 64 MiB"]
    );
}

#[test]
fn folders_linked_in_circles_are_read_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        fs::create_dir(path.join(name)).unwrap();
        fs::write(path.join(name).join("s.yaml"), service(name, 1)).unwrap();
    }
    for from in names {
        for to in names {
            symlink(path.join(to), path.join(from).join(format!("to-{to}"))).unwrap();
        }
        symlink("..", path.join(from).join("up")).unwrap();
    }
    let update = read_once(&[path.to_owned()]).unwrap();
    assert_eq!(problems(&update, path), [""; 0]);
    let wanted: Vec<_> = names.iter().map(|name| format!("{name}:1")).collect();
    assert_eq!(services(&update), wanted);
}

#[test]
fn a_file_that_is_reached_by_two_ways_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("in")).unwrap();
    fs::write(path.join("in/a.yaml"), service("a", 1)).unwrap();
    symlink("a.yaml", path.join("in/b.yaml")).unwrap();
    symlink("in", path.join("link")).unwrap();
    let roots = ["in", "in/a.yaml", "link", "in/../in", "link/b.yaml"];
    let roots: Vec<_> = roots.iter().map(|root| path.join(root)).collect();
    let update = read_once(&roots).unwrap();
    assert_eq!(problems(&update, path), [""; 0]);
    assert_eq!(services(&update), ["a:1"]);
    let place = update.origins.values().next().unwrap();
    assert_eq!(&*place.path, path.join("in/a.yaml"), "the first name");
}

#[test]
fn folders_that_are_too_deep_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let deep = path.join("d/".repeat(40));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("a.yaml"), service("a", 1)).unwrap();
    let update = read_once(&[path.to_owned()]).unwrap();
    let [problem] = &update.problems[..] else {
        panic!("{:?}", update.problems)
    };
    assert!(problem.is_unread(), "{problem}");
    assert!(
        problem.message.contains("below more than 32 directories"),
        "{problem}"
    );
}

#[test]
fn an_object_with_an_unknown_field_is_read_with_it_unless_a_better_state_is_known() {
    let route = |filter: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec:\n  rules:\n  - filters: {filter}\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let file = path.join("a.yaml");
    fs::write(&file, route("[{type: JWT}]")).unwrap();
    let mut files = Files::open(&[path.to_owned()]).unwrap();
    let update = files.update();
    assert_eq!(
        (
            update.resources.http_routes.len(),
            update.resources.beyond.len()
        ),
        (1, 1)
    );
    let said = problems(&update, path);
    assert!(
        said[0].starts_with("a.yaml:6: HTTPRoute/r: unknown variant `JWT`"),
        "{said:?}"
    );
    assert!(
        said[0].ends_with("what has it is closed where it could restrict anything"),
        "{said:?}"
    );

    fs::write(&file, route("[]")).unwrap();
    let good = settle(&mut files);
    assert_eq!(
        (good.resources.beyond.len(), problems(&good, path).len()),
        (0, 0)
    );
    fs::write(&file, route("[{type: JWT}]")).unwrap();
    let kept = settle(&mut files);
    assert_eq!(
        (
            kept.resources.http_routes.len(),
            kept.resources.beyond.len()
        ),
        (1, 0)
    );
    let said = problems(&kept, path);
    let end = "; the last good state of this file stays in use";
    assert!(
        said[0].ends_with(end) && !said[0].contains("closed"),
        "{said:?}"
    );
}
