//! Users and passwords of RoutePolicies, from Secrets.

use std::collections::BTreeMap;

use api::{BasicAuth, BasicAuthFormat, Kind, ObjectKey, ObjectRef, condition::reasons};
use ir::{PasswordHash, Redacted, Users};
use k8s_openapi::api::core::v1::Secret;

use crate::{cert, fault::Fault, lookup::Lookup};

/// The key of a Secret that holds a file.
const FILE: &str = "auth";
/// What a prompt shows unless it is told otherwise.
const REALM: &str = "Authentication Required";
/// How many entries that cannot be read are named.
const NAMED: usize = 10;

/// The users that a policy asks for, and what is wrong with single ones, who cannot log in.
pub(crate) fn basic_auth(
    owner: &ObjectKey,
    declared: &BasicAuth,
    lookup: &Lookup<'_>,
) -> Result<(ir::BasicAuth, Option<String>), Fault> {
    let from = (Kind::RoutePolicy, owner);
    let (key, secret) = cert::referenced(from, &declared.secret_ref, lookup)?;
    let invalid = |message: String| Fault::new(reasons::INVALID, message);
    let realm = declared.realm.as_deref().unwrap_or(REALM);
    let challenge = ir::BasicAuth::challenge(realm).ok_or_else(|| {
        invalid("basicAuth.realm has a character that no header takes".to_owned())
    })?;
    let values = values(secret);
    let mut read = Entries::default();
    match declared.format {
        BasicAuthFormat::Map => values
            .iter()
            .for_each(|(user, hash)| read.entry((None, user), hash)),
        BasicAuthFormat::File => {
            let file = values
                .get(FILE)
                .ok_or_else(|| invalid(format!("Secret {key} has no {FILE}")))?;
            read.file(file);
        }
    }
    let wrong = read.wrong(&key);
    let users = Users::new(read.users).ok_or_else(|| {
        invalid(
            wrong
                .clone()
                .unwrap_or_else(|| format!("Secret {key} has no user, so nobody could log in")),
        )
    })?;
    let auth = ir::BasicAuth {
        challenge,
        source: ObjectRef::new(Kind::Secret, key).to_string().into(),
        users: Redacted::new(users),
        kept_back: declared.forward_authorization == Some(false),
    };
    Ok((auth, wrong))
}

/// The values of a Secret. Manifests may hold them in `stringData`, which an API server would have moved to `data`.
fn values(secret: &Secret) -> BTreeMap<&str, &[u8]> {
    let data = secret.data.iter().flatten();
    let data = data.map(|(name, value)| (name.as_str(), value.0.as_slice()));
    let text = secret.string_data.iter().flatten();
    data.chain(text.map(|(name, value)| (name.as_str(), value.as_bytes())))
        .collect()
}

/// Entries as they are read. What is said about those that are wrong never repeats a hash.
#[derive(Default)]
struct Entries {
    users: Vec<(Box<str>, PasswordHash)>,
    wrong: Vec<String>,
}

impl Entries {
    /// A line `user:hash`, or `user:hash:comment`, for each user; blank lines and those that begin with `#` do not
    /// count.
    fn file(&mut self, file: &[u8]) {
        for (at, line) in file.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let mut parts = line.splitn(3, |byte| *byte == b':');
            let user = parts.next().map(std::str::from_utf8);
            match (user, parts.next()) {
                (Some(Ok(user)), Some(hash)) => self.entry((Some(at + 1), user), hash),
                _ => self.wrong.push(format!("line {}: not user:hash", at + 1)),
            }
        }
    }

    fn entry(&mut self, (line, user): (Option<usize>, &str), hash: &[u8]) {
        let parsed = std::str::from_utf8(hash.trim_ascii())
            .map_err(|_| ir::InvalidHash::Damaged)
            .and_then(PasswordHash::parse);
        match parsed {
            Ok(hash) => self.users.push((user.into(), hash)),
            Err(error) => {
                let line = line.map(|line| format!("line {line}, "));
                let line = line.unwrap_or_default();
                self.wrong.push(format!("{line}user {user:?}: {error}"));
            }
        }
    }

    fn wrong(&self, secret: &ObjectKey) -> Option<String> {
        let more = self.wrong.len().saturating_sub(NAMED);
        let named = self.wrong.get(..NAMED).unwrap_or(&self.wrong).join(", ");
        let more = match more {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        (!named.is_empty())
            .then(|| format!("Secret {secret} has entries that cannot log in: {named}{more}"))
    }
}
