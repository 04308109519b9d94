//! Stored passwords, as htpasswd files hold them.

use std::fmt;

use base64::{
    Engine,
    alphabet::BCRYPT,
    engine::{
        GeneralPurpose,
        general_purpose::{NO_PAD, STANDARD},
    },
};

/// The highest bcrypt cost that is taken: about two seconds for each password that is tried.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=15;
/// The numbers of rounds of SHA-crypt that are taken: up to about a second for each password that is tried.
const ROUNDS: std::ops::RangeInclusive<u32> = 1_000..=1_000_000;
/// What the text encodings of crypt hashes are made of.
const CRYPT_DIGITS: &[u8] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A password as it is stored, hashed or not. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: Box<str>,
    scheme: Scheme,
}

/// How it was hashed, with what is needed to do it again.
#[derive(Clone, PartialEq, Eq)]
pub enum Scheme {
    /// `$2y$`, `$2b$` or `$2a$`.
    Bcrypt {
        /// 4 to 15.
        cost: u32,
        /// Salt.
        salt: [u8; 16],
        /// What has to come out, without the last byte, which nobody stores.
        digest: [u8; 23],
    },
    /// `$apr1$` or `$1$`: a thousand rounds of MD5.
    Md5Crypt {
        /// `$apr1$` or `$1$`, which is hashed too.
        magic: &'static str,
        /// Salt, up to eight bytes.
        salt: Box<str>,
        /// What has to come out, as text.
        digest: Box<str>,
    },
    /// `{SHA}` or, with salt, `{SSHA}`.
    Sha1 {
        /// Salt; empty for `{SHA}`.
        salt: Box<[u8]>,
        /// What has to come out.
        digest: [u8; 20],
    },
    /// `$5$` or `$6$`, checked to be complete.
    ShaCrypt,
    /// `{PLAIN}`: not hashed at all.
    Plain {
        /// The password; at least one byte.
        password: Box<[u8]>,
    },
}

/// Why a stored password cannot be read. It says nothing of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    /// Not one of the schemes that are known.
    #[error(
        "the hash is none of bcrypt ($2y$), apr1, {{SHA}}, {{SSHA}}, {{PLAIN}}, $1$, $5$ and $6$"
    )]
    Scheme,
    /// It looks like one that is not read because it protects nothing: two characters of salt and eleven of a digest.
    #[error("the hash is of DES crypt, which is not read: hash the password anew")]
    DesCrypt,
    /// It begins as one, and then does not go on as one.
    #[error("the hash is damaged")]
    Damaged,
    /// To check a password would take too long.
    #[error("the hash is too costly: bcrypt costs up to 15 and up to 1,000,000 rounds are taken")]
    Costly,
}

impl PasswordHash {
    /// Reads what stands behind `user:`.
    ///
    /// # Errors
    /// See [`InvalidHash`].
    pub fn parse(text: &str) -> Result<Self, InvalidHash> {
        let scheme = if let Some(rest) = bcrypt_rest(text) {
            bcrypt(rest)?
        } else if let Some(rest) = text.strip_prefix("$apr1$") {
            md5_crypt("$apr1$", rest)?
        } else if let Some(rest) = text.strip_prefix("$1$") {
            md5_crypt("$1$", rest)?
        } else if let Some(rest) = text.strip_prefix("$5$") {
            sha_crypt(rest, 43)?
        } else if let Some(rest) = text.strip_prefix("$6$") {
            sha_crypt(rest, 86)?
        } else if let Some(rest) = text.strip_prefix("{SHA}") {
            sha1(rest, false)?
        } else if let Some(rest) = text.strip_prefix("{SSHA}") {
            sha1(rest, true)?
        } else if let Some(rest) = text.strip_prefix("{PLAIN}") {
            plain(rest)?
        } else if is_crypt(text, 13) {
            return Err(InvalidHash::DesCrypt);
        } else {
            return Err(InvalidHash::Scheme);
        };
        Ok(Self {
            text: text.into(),
            scheme,
        })
    }

    /// As it was written. Every call is a place to review.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How to check a password. Every call is a place to review.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn bcrypt_rest(text: &str) -> Option<&str> {
    ["$2y$", "$2b$", "$2a$"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
}

fn bcrypt(rest: &str) -> Result<Scheme, InvalidHash> {
    const BASE_64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD);
    let (cost, rest) = rest.split_once('$').ok_or(InvalidHash::Damaged)?;
    let cost: u32 = cost.parse().map_err(|_| InvalidHash::Damaged)?;
    if !BCRYPT_COST.contains(&cost) {
        return Err(InvalidHash::Costly);
    }
    if rest.len() != 53 || !rest.is_ascii() {
        return Err(InvalidHash::Damaged);
    }
    let (salt, digest) = rest.split_at(22);
    let decode = |text: &str| BASE_64.decode(text).map_err(|_| InvalidHash::Damaged);
    Ok(Scheme::Bcrypt {
        cost,
        salt: decode(salt)?.try_into().map_err(|_| InvalidHash::Damaged)?,
        digest: decode(digest)?
            .try_into()
            .map_err(|_| InvalidHash::Damaged)?,
    })
}

fn is_crypt(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| CRYPT_DIGITS.contains(&b))
}

fn md5_crypt(magic: &'static str, rest: &str) -> Result<Scheme, InvalidHash> {
    let (salt, digest) = rest.split_once('$').ok_or(InvalidHash::Damaged)?;
    if salt.len() > 8 || !is_crypt(digest, 22) {
        return Err(InvalidHash::Damaged);
    }
    Ok(Scheme::Md5Crypt {
        magic,
        salt: salt.into(),
        digest: digest.into(),
    })
}

fn sha_crypt(rest: &str, length: usize) -> Result<Scheme, InvalidHash> {
    let rest = match rest.strip_prefix("rounds=") {
        None => rest,
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$').ok_or(InvalidHash::Damaged)?;
            let rounds: u32 = rounds.parse().map_err(|_| InvalidHash::Damaged)?;
            if !ROUNDS.contains(&rounds) {
                return Err(InvalidHash::Costly);
            }
            rest
        }
    };
    let (salt, digest) = rest.split_once('$').ok_or(InvalidHash::Damaged)?;
    if salt.is_empty() || !is_crypt(salt, salt.len().min(16)) || !is_crypt(digest, length) {
        return Err(InvalidHash::Damaged);
    }
    Ok(Scheme::ShaCrypt)
}

fn plain(text: &str) -> Result<Scheme, InvalidHash> {
    match text.as_bytes() {
        [] => Err(InvalidHash::Damaged),
        password => Ok(Scheme::Plain {
            password: password.into(),
        }),
    }
}

fn sha1(text: &str, salted: bool) -> Result<Scheme, InvalidHash> {
    let bytes = STANDARD.decode(text).map_err(|_| InvalidHash::Damaged)?;
    let (digest, salt) = bytes.split_at_checked(20).ok_or(InvalidHash::Damaged)?;
    if salted == salt.is_empty() || salt.len() > 64 {
        return Err(InvalidHash::Damaged);
    }
    Ok(Scheme::Sha1 {
        salt: salt.into(),
        digest: digest.try_into().map_err(|_| InvalidHash::Damaged)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{InvalidHash, PasswordHash, Scheme};

    #[test]
    fn every_scheme_is_read() {
        for text in [
            "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
            "$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.",
            "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
            "$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1",
            "$6$rounds=5000$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.",
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "{SSHA}VzCR1YSX+WJ7ULbvFNDlU6Nw9dJzYWx0",
            "{PLAIN}a secret",
        ] {
            let hash = PasswordHash::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(hash.text(), text);
        }
        let bcrypt =
            PasswordHash::parse("$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e");
        assert!(matches!(
            bcrypt.unwrap().scheme(),
            Scheme::Bcrypt { cost: 5, .. }
        ));
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_being_repeated() {
        use InvalidHash::{Costly, Damaged, DesCrypt, Scheme};
        for (text, why) in [
            ("", Scheme),
            ("secret", Scheme),
            ("rqXexS6ZhobKA", DesCrypt),
            ("rqXexS6Zhob-A", Scheme),
            ("{plain}secret", Scheme),
            ("{PLAIN}", Damaged),
            (
                "$2x$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
                Scheme,
            ),
            (
                "$2y$31$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
                Costly,
            ),
            ("$2y$05$short", Damaged),
            (
                "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSé",
                Damaged,
            ),
            ("$apr1$toolongasalt$Xxd1irWT9ycqoYxGFn4cb.", Damaged),
            ("$apr1$salt$", Damaged),
            ("$6$rounds=999999999$salt$x", Costly),
            ("$6$salt$short", Damaged),
            ("$5$", Damaged),
            ("{SHA}W6ph5Mm5", Damaged),
            ("{SHA}not base64", Damaged),
            ("{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", Damaged),
        ] {
            let error = PasswordHash::parse(text).unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(text.len() < 6 || !error.to_string().contains(text));
        }
    }
}
