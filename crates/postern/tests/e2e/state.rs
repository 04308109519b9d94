//! What lasts in the running binary while its folder is edited: buckets, rounds, splits, sessions, hashes. Neither
//! other objects that come, change and go, nor other places and names of files and paths, set anything back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use testkit::{
    call::{Answer, Call},
    echo::Backend,
};

use crate::support::{Gateway, Start, service};

/// An Ingress for one host, with a path for each Service.
fn ingress(name: &str, annotations: &str, paths: &[(&str, &str)]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|(path, service)| {
            format!("{{path: {path}, pathType: Prefix, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}")
        })
        .collect();
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\nspec:\n  \
         ingressClassName: higress\n  rules: [{{host: {name}.com, http: {{paths: [{}]}}}}]\n---\n",
        paths.join(", ")
    )
}

/// What is to last, with its paths in this order.
fn lasting(backends: &[Backend], turned: bool) -> String {
    let order = |service: &'static str| {
        let mut paths = vec![("/", service), ("/beside", "other")];
        if turned {
            paths.reverse();
        }
        paths
    };
    let limits = "higress.io/route-limit-rpm: '8', higress.io/route-limit-burst-multiplier: '1'";
    let mut parts = vec![
        service("all", &[&backends[0], &backends[1], &backends[2]]),
        service("one", &[&backends[0]]),
        service("two", &[&backends[1]]),
        service("other", &[&backends[2]]),
        ingress("limited", limits, &order("one")),
        ingress("round", "", &order("all")),
        ingress("sticky", "higress.io/affinity: cookie", &order("all")),
        ingress(
            "hashed",
            "higress.io/upstream-hash-by: $arg_user",
            &order("all"),
        ),
        ingress("split", "", &order("one")),
        ingress(
            "canary",
            "higress.io/canary: 'true', higress.io/canary-weight: '1', higress.io/canary-weight-total: '4'",
            &[("/", "two")],
        )
        .replace("host: canary.com", "host: split.com"),
    ];
    if turned {
        parts.reverse();
    }
    parts.concat()
}

/// A folder that is served, and edited.
struct Edited {
    folder: tempfile::TempDir,
    gateway: Gateway,
    edits: usize,
}

impl Edited {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One of several edits that have nothing to do with what lasts, seen before this returns.
    fn edit(&mut self, backends: &[Backend]) {
        let generation = self.gateway.generation();
        let other = |path: &str| ingress("other", "", &[(path, "other")]);
        match self.edits % 6 {
            0 => write(&self.path("other.yaml"), &other("/")),
            1 => write(&self.path("other.yaml"), &other("/elsewhere")),
            // The endpoints of a Service that nobody's state is about.
            2 => write(
                &self.path("other.yaml"),
                &(other("/") + &service("beside", &[&backends[0]])),
            ),
            // Objects and rules stand in another order, and a Service of the same endpoints is new.
            3 => write(
                &self.path("lasting.yaml"),
                &(lasting(backends, self.edits < 6)
                    + &service("more", &[&backends[0], &backends[1]])),
            ),
            // The file has another name, and is read at another time.
            4 => {
                write(
                    &self.path("aaa.yaml"),
                    &ingress("new", "", &[("/", "other")]),
                );
                fs::rename(self.path("lasting.yaml"), self.path("zzz.yaml")).unwrap();
            }
            _ => {
                fs::remove_file(self.path("aaa.yaml")).unwrap();
                fs::rename(self.path("zzz.yaml"), self.path("lasting.yaml")).unwrap();
            }
        }
        self.edits += 1;
        self.gateway.signal("HUP");
        self.gateway.wait_beyond(generation);
    }

    fn get(&self, url: &str, header: Option<(&str, &str)>) -> Answer {
        let call = Call::get(self.gateway.address(80), url);
        let call = match header {
            Some((name, value)) => call.header(name, value),
            None => call,
        };
        call.send_blocking().unwrap()
    }
}

/// As editors do it: a new file, then a rename.
fn write(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(&next, path).unwrap();
}

#[test]
fn nothing_that_lasts_is_set_back_by_edits_of_other_things() {
    let backends = ["a", "b", "c"].map(Backend::start);
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder.path().join("lasting.yaml"),
        &lasting(&backends, false),
    );
    let gateway = Start::default().serve(folder.path());
    let mut edited = Edited {
        folder,
        gateway,
        edits: 0,
    };

    let first = edited.get("http://sticky.com/", None);
    let cookie = first.cookie().to_owned();
    let user = |edited: &Edited| {
        let places = (0..9).map(|user| {
            edited
                .get(&format!("http://hashed.com/?user={user}"), None)
                .backend()
                .to_owned()
        });
        places.collect::<Vec<_>>()
    };
    let places = user(&edited);
    let mut limited = Vec::new();
    let (mut round, mut split) = (
        BTreeMap::<String, usize>::new(),
        BTreeMap::<String, usize>::new(),
    );
    for step in 0..12 {
        limited.push(edited.get("http://limited.com/", None).status.as_u16());
        *round
            .entry(edited.get("http://round.com/", None).backend().to_owned())
            .or_default() += 1;
        *split
            .entry(edited.get("http://split.com/", None).backend().to_owned())
            .or_default() += 1;
        let again = edited.get("http://sticky.com/", Some(("cookie", &cookie)));
        assert_eq!(
            (again.backend(), again.header("set-cookie")),
            (first.backend(), ""),
            "step {step}"
        );
        assert_eq!(user(&edited), places, "step {step}");
        edited.edit(&backends);
    }
    assert_eq!(limited[..8], [200; 8]);
    // A token comes back every 7.5 seconds.
    let late = limited[8..].iter().filter(|status| **status == 200).count();
    assert!(late <= 2, "{limited:?}");
    let counted = |counts: &[(&str, usize)]| {
        counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(round, counted(&[("a", 4), ("b", 4), ("c", 4)]));
    assert_eq!(split, counted(&[("a", 9), ("b", 3)]));
}
