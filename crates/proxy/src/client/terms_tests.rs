use std::sync::Arc;

use ir::{
    Authorities, ClientAuth, HostPattern, Ir, Listener, ListenerKey, Port, Protocol, SocketKey,
    TlsTermination, TlsVersions,
};

use super::{Renewal, Terms};

const KEY: SocketKey = SocketKey {
    address: None,
    port: 443,
};

fn host(name: &str) -> HostPattern {
    HostPattern::parse(name).unwrap()
}

fn listener(name: &str, clients: Option<ClientAuth>, streams: bool) -> Listener {
    Listener {
        underscores: ir::Underscores::Allow,
        paths: ir::Paths::default(),
        admission: ir::Admission::Open,
        key: ListenerKey::of_gateway("test", "test", name),
        others: vec![],
        hostname: host(name),
        tls: clients.map(|clients| TlsTermination {
            certificates: vec![],
            versions: TlsVersions::All,
            ciphers: None,
            clients,
        }),
        hosts: vec![],
        streams: streams.then(Vec::new),
    }
}

fn ir(protocol: Protocol, listeners: Vec<Listener>) -> Ir {
    let port = Port {
        protocol,
        advertised: None,
        listeners: listeners.into_iter().map(Arc::new).collect(),
    };
    Ir {
        ports: [(KEY, port)].into(),
        ..Ir::default()
    }
}

/// Whether a connection that was made by snapshot 1 ends with snapshot 2, as HTTP and as a stream.
fn ends(before: &Ir, now: &Ir, listener: &str) -> (bool, bool) {
    let renewals = Renewal::between(before, now, 2);
    let ends = |stream| {
        let terms = |generation| Terms {
            listener: host(listener),
            generation,
            stream,
        };
        assert!(!renewals.iter().any(|renewal| renewal.ends(Some(&terms(2)))));
        renewals.iter().any(|renewal| renewal.ends(Some(&terms(1))))
    };
    (ends(false), ends(true))
}

fn required(pem: &str) -> Option<ClientAuth> {
    Some(ClientAuth::Required(authorities(pem)))
}

fn authorities(pem: &str) -> Authorities {
    Authorities {
        source: "ConfigMap/test/ca".into(),
        pem: pem.into(),
    }
}

#[test]
fn who_joins_or_leaves_changes_nothing_for_others() {
    let open = || Some(ClientAuth::None);
    let alone = ir(Protocol::Https, vec![listener("web.com", open(), false)]);
    let shared = ir(
        Protocol::Tls,
        vec![
            listener("web.com", open(), false),
            listener("through.com", None, true),
        ],
    );
    for (before, now) in [(&alone, &shared), (&shared, &alone)] {
        assert!(Renewal::between(before, now, 2).is_empty());
    }
    let plain = ir(Protocol::Http, vec![listener("web.com", None, false)]);
    let renewals = Renewal::between(&shared, &plain, 2);
    assert!(renewals.iter().any(|renewal| renewal.ends(None)));
    assert_eq!(ends(&shared, &plain, "through.com"), (true, true));
}

#[test]
fn what_a_listener_does_ends_everything_of_it() {
    let kinds = [
        (Some(ClientAuth::None), false),
        (Some(ClientAuth::None), true),
        (None, true),
    ];
    for (at, before) in kinds.iter().enumerate() {
        for (other, now) in kinds.iter().enumerate() {
            let with = |(clients, streams): &(Option<ClientAuth>, bool)| {
                let changes = listener("a.com", clients.clone(), *streams);
                ir(Protocol::Tls, vec![changes, listener("b.com", None, true)])
            };
            let (before, now) = (with(before), with(now));
            assert_eq!(ends(&before, &now, "a.com"), (at != other, at != other));
            assert_eq!(ends(&before, &now, "b.com"), (false, false));
            let renewals = Renewal::between(&before, &now, 2);
            assert!(
                !renewals.iter().any(|r| r.ends(None)),
                "nothing is agreed on yet"
            );
        }
    }
}

#[test]
fn streams_end_when_more_is_asked_of_clients_and_http_with_every_change() {
    let optional = |pem| Some(ClientAuth::Optional(authorities(pem)));
    let cases = [
        (Some(ClientAuth::None), required("a"), (true, true)),
        (
            Some(ClientAuth::None),
            Some(ClientAuth::Refuse),
            (true, true),
        ),
        (
            Some(ClientAuth::None),
            Some(ClientAuth::Requested),
            (true, false),
        ),
        (required("a"), Some(ClientAuth::None), (true, false)),
        (required("a"), required("b"), (true, true)),
        (required("a"), optional("a"), (true, false)),
        (required("a"), optional("b"), (true, true)),
        (optional("a"), required("a"), (true, true)),
        (required("a"), required("a"), (false, false)),
    ];
    for (before, now, expected) in cases {
        let with = |clients: &Option<ClientAuth>| {
            ir(
                Protocol::Tls,
                vec![listener("a.com", clients.clone(), true)],
            )
        };
        let found = ends(&with(&before), &with(&now), "a.com");
        assert_eq!(found, expected, "{before:?} -> {now:?}");
    }
}
