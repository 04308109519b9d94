use super::{Ca, Issued, client_config, client_config_presenting, self_signed};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use std::sync::Arc;

/// A handshake in memory; the server's view of it, or the first error of either side.
fn handshake(
    server: ServerConfig,
    client: ClientConfig,
    name: &str,
) -> Result<ServerConnection, String> {
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let name = name.to_owned().try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    for _ in 0..8 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server
                .process_new_packets()
                .map_err(|error| format!("server: {error}"))?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client
                .process_new_packets()
                .map_err(|error| format!("client: {error}"))?;
        }
    }
    assert!(
        !server.is_handshaking() && !client.is_handshaking(),
        "no error and no end"
    );
    Ok(server)
}

fn refused(result: Result<ServerConnection, String>) -> String {
    result.expect_err("the handshake should fail")
}

#[test]
fn every_kind_of_name_is_in_the_certificate() {
    let ca = Ca::new("Test CA");
    let issued = ca.issue(&["example.com", "*.a.com", "127.0.0.1", "::1", "spiffe://x/y"]);
    for name in ["example.com", "b.a.com", "127.0.0.1", "::1"] {
        handshake(issued.server_config(&[]), ca.client_config(&[]), name).unwrap();
    }
    for name in ["other.com", "a.com", "c.b.a.com", "127.0.0.2"] {
        let error = refused(handshake(
            issued.server_config(&[]),
            ca.client_config(&[]),
            name,
        ));
        assert!(error.contains("not valid for name"), "{name}: {error}");
    }
}

#[test]
fn only_the_own_authority_is_trusted() {
    let (ca, twin) = (Ca::new("Same Name"), Ca::new("Same Name"));
    let issued = ca.issue(&["example.com"]);
    let error = refused(handshake(
        issued.server_config(&[]),
        twin.client_config(&[]),
        "example.com",
    ));
    assert!(
        error.starts_with("client: invalid peer certificate"),
        "{error}"
    );
}

#[test]
fn alpn_is_negotiated() {
    let ca = Ca::new("Test CA");
    let server = ca
        .issue(&["example.com"])
        .server_config(&["h2", "http/1.1"]);
    for (offer, chosen) in [
        (&["http/1.1", "h2"][..], Some(&b"h2"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let done = handshake(server.clone(), ca.client_config(offer), "example.com").unwrap();
        assert_eq!(done.alpn_protocol(), chosen, "{offer:?}");
    }
}

#[test]
fn expired_and_self_signed() {
    let ca = Ca::new("Test CA");
    let expired = ca.issue_expired(&["example.com"]).server_config(&[]);
    let error = refused(handshake(expired, ca.client_config(&[]), "example.com"));
    assert!(error.contains("expired"), "{error}");

    let own = self_signed(&["example.com"]);
    let server = || own.server_config(&[]);
    handshake(server(), client_config(&own.cert_pem, &[]), "example.com").unwrap();
    refused(handshake(server(), ca.client_config(&[]), "example.com"));
}

#[test]
fn client_certificates_are_asked_for_and_verified() {
    let (ca, clients, foreign) = (Ca::new("Servers"), Ca::new("Clients"), Ca::new("Clients"));
    let issued = ca.issue(&["example.com"]);
    let presenting = |who: &Issued| client_config_presenting(ca.pem(), who, &[]);
    let server = |required| issued.server_config_verifying(clients.pem(), required, &[]);

    let alice = clients.issue_client("alice");
    let done = handshake(server(true), presenting(&alice), "example.com").unwrap();
    assert_eq!(done.peer_certificates().map(<[_]>::len), Some(1));

    refused(handshake(
        server(true),
        ca.client_config(&[]),
        "example.com",
    ));
    let done = handshake(server(false), ca.client_config(&[]), "example.com").unwrap();
    assert!(done.peer_certificates().is_none());

    let mallory = foreign.issue_client("alice");
    refused(handshake(
        server(false),
        presenting(&mallory),
        "example.com",
    ));
    // A server's certificate is no client's: the key usage says so.
    refused(handshake(
        server(false),
        presenting(&clients.issue(&["alice"])),
        "example.com",
    ));
}

#[test]
#[should_panic(expected = "no certificate")]
fn trusting_nothing_is_a_mistake() {
    let _ = client_config("", &[]);
}
