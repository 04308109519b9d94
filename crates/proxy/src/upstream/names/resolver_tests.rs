use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tempfile::TempDir;
use testkit::dns::Dns;

use super::{Found, HOSTS_HOLD, Resolver};
use crate::upstream::names::system::System;

/// The files of a system, none at first.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn resolver(&self, servers: &[SocketAddr]) -> Resolver {
        let [hosts, resolv_conf] = ["hosts", "resolv.conf"].map(|name| self.0.path().join(name));
        Resolver::new(System::at(hosts, resolv_conf, servers.to_vec()))
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    tokio::task::LocalSet::new().block_on(&runtime.unwrap(), test);
}

async fn addresses(resolver: &Resolver, name: &str) -> Vec<String> {
    match resolver.find(name).await {
        Found::Addresses(addresses, _) => {
            let mut texts: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
            texts.sort();
            texts
        }
        Found::Nothing => vec![],
        Found::Failed(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn both_families_and_how_long_they_hold() {
    let files = Files::new();
    let dns = Dns::start();
    dns.says("a.test", &["192.0.2.1", "192.0.2.2", "2001:db8::1"], 20);
    dns.says("none.test", &[], 20);
    let resolver = files.resolver(&[dns.address()]);
    run(async {
        let all = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
        assert_eq!(addresses(&resolver, "a.test").await, all);
        let found = resolver.find("a.test").await;
        let Found::Addresses(_, holds) = found else {
            panic!("{found:?}")
        };
        assert!(holds > Duration::from_secs(18) && holds <= Duration::from_secs(20));
        assert_eq!(dns.asked("a.test"), 2, "nothing is kept here");
        let none = resolver.find("none.test").await;
        assert!(matches!(none, Found::Nothing), "{none:?}");
        let unknown = resolver.find("unknown.test").await;
        assert!(matches!(unknown, Found::Nothing), "{unknown:?}");
        dns.fails("a.test");
        let failed = resolver.find("a.test").await;
        assert!(matches!(failed, Found::Failed(_)), "{failed:?}");
    });
}

#[test]
fn the_hosts_file_goes_first_and_is_read_again_when_it_changes() {
    let files = Files::new();
    let dns = Dns::start();
    dns.says("a.test", &["192.0.2.1"], 20);
    let resolver = files.resolver(&[dns.address()]);
    run(async {
        assert_eq!(addresses(&resolver, "a.test").await, ["192.0.2.1"]);
        files.write(
            "hosts",
            "192.0.2.7 b.test A.test # and more\n2001:db8::7 a.test\n",
        );
        let all = ["192.0.2.7", "2001:db8::7"];
        assert_eq!(addresses(&resolver, "a.test").await, all);
        let found = resolver.find("b.test").await;
        let Found::Addresses(found, HOSTS_HOLD) = found else {
            panic!("{found:?}")
        };
        assert_eq!(found, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!((dns.asked("a.test"), dns.asked("b.test")), (1, 0));
        files.write("hosts", "192.0.2.9 a.test\n");
        assert_eq!(addresses(&resolver, "a.test").await, ["192.0.2.9"]);
    });
}

#[test]
fn names_are_completed_as_the_system_says() {
    let files = Files::new();
    let dns = Dns::start();
    files.write("resolv.conf", "search one.test two.test\noptions ndots:2\n");
    dns.says("auth.two.test", &["192.0.2.2"], 20);
    dns.says("a.b.c", &["192.0.2.3"], 20);
    dns.says("d.e.f.one.test", &["192.0.2.4"], 20);
    let resolver = files.resolver(&[dns.address()]);
    run(async {
        assert_eq!(addresses(&resolver, "auth").await, ["192.0.2.2"]);
        assert_eq!((dns.asked("auth.one.test"), dns.asked("auth")), (1, 0));
        assert_eq!(addresses(&resolver, "a.b.c").await, ["192.0.2.3"]);
        assert_eq!(dns.asked("a.b.c.one.test"), 0, "dots enough");
        assert_eq!(addresses(&resolver, "d.e.f").await, ["192.0.2.4"]);
        // Nobody knows whether the first one has addresses: that is no word about the last.
        dns.fails("lost.one.test");
        let found = resolver.find("lost").await;
        assert!(matches!(found, Found::Failed(_)), "{found:?}");
        assert_eq!(dns.asked("lost"), 1);
    });
}

#[test]
fn a_server_that_answers_for_one_family_alone_is_enough() {
    let files = Files::new();
    let dns = Dns::start();
    dns.says("a.test", &["192.0.2.1"], 20);
    dns.answers_v4_alone();
    let resolver = files.resolver(&[dns.address()]);
    run(async {
        assert_eq!(addresses(&resolver, "a.test").await, ["192.0.2.1"]);
    });
}
