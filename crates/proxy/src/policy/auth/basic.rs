//! `Authorization: Basic`: read, and checked without ever holding up a worker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use aws_lc_rs::{hmac, rand::SystemRandom};
use base64::{Engine, engine::general_purpose::GeneralPurpose};
use http::{HeaderMap, HeaderValue, header};
use ir::{BasicAuth, PasswordHash, Redacted};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    known::{Known, Mark},
    password,
};
use crate::http::error::ProxyError;

/// Longest user name or password. Some hashes take time that grows with the square of it.
const LONGEST: usize = 256;
/// How many checks may wait for their turn, over all workers.
const WAITING: usize = 256;
/// How long one may wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients may leave the padding out.
const BASE_64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// What a client claims.
pub(crate) struct Credentials {
    user: Box<[u8]>,
    password: Redacted<Box<[u8]>>,
}

impl Credentials {
    /// Reads them from a request. `None` if there are none, more than one, or some that nobody can have.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        Self::read(value)
    }

    fn read(value: &HeaderValue) -> Option<Self> {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE_64.decode(encoded.trim()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (user, password) = (&decoded[..colon], &decoded[colon + 1..]);
        let legal = |text: &[u8]| text.len() <= LONGEST && !text.contains(&0);
        (legal(user) && legal(password)).then(|| Self {
            user: user.into(),
            password: Redacted::new(password.into()),
        })
    }
}

/// The user name in the value of `Authorization`, if it is a Basic one.
pub(crate) fn user(value: &HeaderValue) -> Option<Box<[u8]>> {
    Credentials::read(value).map(|credentials| credentials.user)
}

/// Whether the credentials are those of a user. It takes as long as the password's hash does: not for traffic.
pub(crate) fn is_right(auth: &BasicAuth, credentials: &Credentials) -> bool {
    let stored = auth.users.reveal().get(&credentials.user);
    stored.is_some_and(|stored| password::matches(stored, credentials.password.reveal()))
}

/// Checks credentials. One for all workers.
pub(crate) struct Verifier {
    /// Drawn at start; what is known is worth nothing outside of this process.
    key: hmac::Key,
    known: Known,
    /// Slow checks at a time. Whoever guesses passwords gets this much of the machine and no more.
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// One that waits; dropped, it does no longer.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Verifier {
    /// Slow checks get a quarter of the cores, and one at least.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self {
            key: key.expect("the system has random bytes"),
            known: Known::default(),
            turns: Arc::new(Semaphore::new((cores / 4).max(1))),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Whether the credentials are those of a user.
    ///
    /// # Errors
    /// Too many others are waiting.
    pub(crate) async fn check(
        &self,
        auth: &Arc<BasicAuth>,
        credentials: Credentials,
    ) -> Result<bool, ProxyError> {
        let users = auth.users.reveal();
        let stored = users.get(&credentials.user);
        let exists = stored.is_some();
        // Nobody shall learn from the time it takes who is a user.
        let stored = stored.unwrap_or_else(|| users.decoy(self.seed(&credentials.user)));
        let mark = self.mark(stored, &credentials);
        if exists && self.known.contains(&mark) {
            return Ok(true);
        }
        let turn = self.turn().await?;
        // The same credentials, sent with many requests at once, are checked for the first of them.
        if exists && self.known.contains(&mark) {
            return Ok(true);
        }
        let stored = stored.clone();
        // The turn goes along: it lasts as long as the work does, whether the client waits or not.
        let checked = tokio::task::spawn_blocking(move || {
            let right = password::matches(&stored, credentials.password.reveal());
            drop(turn);
            right
        });
        let right = checked.await.map_err(|_| ProxyError::Overloaded)? && exists;
        if right {
            self.known.insert(mark);
        }
        Ok(right)
    }

    async fn turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit, ProxyError> {
        if self.waiting.fetch_add(1, Relaxed) >= WAITING {
            self.waiting.fetch_sub(1, Relaxed);
            return Err(ProxyError::Overloaded);
        }
        let _waiting = Waiting(&self.waiting);
        match timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(ProxyError::Overloaded),
        }
    }

    fn mark(&self, stored: &PasswordHash, credentials: &Credentials) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [
            &credentials.user,
            stored.text().as_bytes(),
            credentials.password.reveal(),
        ] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    fn seed(&self, user: &[u8]) -> u64 {
        let tag = hmac::sign(&self.key, user);
        let first = tag.as_ref().first_chunk().copied();
        u64::from_le_bytes(first.unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "basic_tests.rs"]
mod tests;
