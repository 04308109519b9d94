//! Reading and checking credentials.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use ir::{BasicAuth, PasswordHash, Redacted, Users};

use super::{Credentials, LONGEST, Verifier, WAITING};
use crate::http::error::ProxyError;

fn headers(values: &[&str]) -> HeaderMap {
    let values = values.iter().map(|value| HeaderValue::from_str(value));
    let named = values.map(|value| (header::AUTHORIZATION, value.unwrap()));
    let mut map = HeaderMap::new();
    named.for_each(|(name, value)| assert!(map.append(name, value) || map.len() == 1));
    map
}

fn basic(user: &str, password: &str) -> Option<Credentials> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    Credentials::of(&headers(&[&format!("Basic {encoded}")]))
}

fn auth(users: &[(&str, &str)]) -> Arc<BasicAuth> {
    let users = users.iter();
    let users = users.map(|(name, hash)| ((*name).into(), PasswordHash::parse(hash).unwrap()));
    Arc::new(BasicAuth {
        challenge: BasicAuth::challenge("r").unwrap(),
        source: "Secret/a/b".into(),
        users: Redacted::new(Users::new(users.collect()).unwrap()),
        kept_back: false,
    })
}

/// `secret`.
const STORED: &str = "$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0";
/// `other`.
const OTHER: &str = "{SHA}0JQeaNqPOBUf+Gph/Fn3xc+fyqI=";

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(future)
}

#[test]
fn headers_are_read() {
    let found = |value: &str| {
        let credentials = Credentials::of(&headers(&[value]))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(&credentials.user), text(credentials.password.reveal())))
    };
    let of = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    assert_eq!(found("Basic am9objpzZWNyZXQ="), of("john", "secret"));
    assert_eq!(found("bAsIc am9objpzZWNyZXQ"), of("john", "secret"));
    assert_eq!(found("Basic am9objphOmI="), of("john", "a:b"));
    assert_eq!(found("Basic Og=="), of("", ""));
    for bad in [
        "Basic",
        "Basic x",
        "Basic am9obg==",
        "Bearer am9objpzZWNyZXQ=",
        "",
    ] {
        assert_eq!(found(bad), None, "{bad}");
    }
    assert!(Credentials::of(&headers(&[])).is_none());
    let twice = ["Basic am9objpzZWNyZXQ="; 2];
    assert!(
        Credentials::of(&headers(&twice)).is_none(),
        "which one is meant?"
    );
    assert!(basic("john", "sec\0ret").is_none());
    assert!(basic("john", &"x".repeat(LONGEST)).is_some());
    assert!(basic("john", &"x".repeat(LONGEST + 1)).is_none());
}

#[test]
fn only_users_with_their_password_pass() {
    let verifier = Verifier::new();
    let auth = auth(&[("john", STORED), ("jane", OTHER)]);
    let check = |user: &str, password: &str| {
        run(verifier.check(&auth, basic(user, password).unwrap())).unwrap()
    };
    for round in 0..2 {
        assert!(check("john", "secret") && check("jane", "other"), "{round}");
        assert!(!check("john", "other") && !check("jane", "secret"));
        assert!(
            !check("jim", "secret") && !check("jim", "other"),
            "of no user"
        );
        assert!(!check("", "") && !check("john", ""));
    }
}

#[test]
fn known_credentials_wait_for_nobody_and_end_with_the_password() {
    let verifier = Verifier::new();
    let before = auth(&[("john", STORED)]);
    let ask = |auth: &Arc<BasicAuth>, password: &str| {
        run(verifier.check(auth, basic("john", password).unwrap()))
    };
    assert_eq!(ask(&before, "secret"), Ok(true));
    // Nobody gets a turn any more.
    verifier.turns.close();
    assert_eq!(ask(&before, "secret"), Ok(true));
    assert_eq!(ask(&before, "wrong"), Err(ProxyError::Overloaded));
    let after = auth(&[("john", OTHER)]);
    assert_eq!(
        ask(&after, "secret"),
        Err(ProxyError::Overloaded),
        "it has to be looked at anew"
    );
}

#[test]
fn waiting_is_bounded_and_never_on_the_worker() {
    let verifier = Verifier::new();
    let auth = auth(&[("john", STORED)]);
    run(async {
        let all = verifier.turns.available_permits();
        let held = verifier
            .turns
            .acquire_many(u32::try_from(all).unwrap())
            .await
            .unwrap();
        let ask = || Box::pin(verifier.check(&auth, basic("john", "secret").unwrap()));
        let mut waiting: Vec<_> = (0..WAITING).map(|_| ask()).collect();
        for one in &mut waiting {
            assert!(futures_poll(one).await.is_none(), "it waits");
        }
        assert_eq!(ask().await, Err(ProxyError::Overloaded));
        // Those that went away make room.
        waiting.truncate(1);
        drop(held);
        assert_eq!(waiting.remove(0).await, Ok(true));
        assert_eq!(ask().await, Ok(true));
    });
}

/// One poll.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        let polled = std::pin::Pin::new(&mut *future).poll(cx);
        std::task::Poll::Ready(match polled {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
