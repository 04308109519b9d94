//! Whether a password is the one that was stored. Slow on purpose: never on a worker's thread.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use ir::{PasswordHash, Scheme};
use sha_crypt::{PasswordHashRef, PasswordVerifier, ShaCrypt};

use super::md5_crypt::md5_crypt;

/// bcrypt reads no more of a password.
const BCRYPT_BYTES: usize = 72;

/// Whether `password` is what `stored` was made from. Digests are compared in constant time.
pub(crate) fn matches(stored: &PasswordHash, password: &[u8]) -> bool {
    let same = |a: &[u8], b: &[u8]| verify_slices_are_equal(a, b).is_ok();
    match stored.scheme() {
        Scheme::Bcrypt { cost, salt, digest } => {
            let mut text = password.to_vec();
            text.push(0);
            text.truncate(BCRYPT_BYTES);
            same(&bcrypt::bcrypt(*cost, *salt, &text)[..digest.len()], digest)
        }
        Scheme::Md5Crypt {
            magic,
            salt,
            digest,
        } => same(
            &md5_crypt(password, magic, salt.as_bytes()),
            digest.as_bytes(),
        ),
        Scheme::Sha1 { salt, digest } => {
            let mut hasher = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
            hasher.update(password);
            hasher.update(salt);
            same(hasher.finish().as_ref(), digest)
        }
        Scheme::Plain { password: stored } => same(password, stored),
        Scheme::ShaCrypt => PasswordHashRef::new(stored.text()).is_ok_and(|stored| {
            ShaCrypt::default()
                .verify_password(password, stored)
                .is_ok()
        }),
    }
}

#[cfg(test)]
mod tests {
    use ir::PasswordHash;

    use super::matches;

    /// Made with `openssl passwd` and `htpasswd`.
    const STORED: [(&str, &str); 13] = [
        ("pass word", "{PLAIN}pass word"),
        ("secret", "$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0"),
        ("secret", "$1$salt$ez2vlPGdaLYkJam5pWs/Y1"),
        (
            "secret",
            "$5$salt$kpa26zwgX83BPSR8d7w93OIXbFt/d3UOTZaAu5vsTM6",
        ),
        (
            "secret",
            "$6$salt$egUxKNxDs8kPfh8iPMNcosMhb2eWah6d3R44JDm5Rj/j/XWR5E33QPd0YmHXoDHOIDR6kL5D3JcQcz0O8FHE00",
        ),
        ("secret", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
        ("", "$apr1$salt$AnXM5PAEa9T4ruYbwPoUh/"),
        (
            "a rather longer password than one block",
            "$apr1$12345678$to92eUdtLzst44UhObl3o0",
        ),
        ("secret", "{SSHA}UgCJjM+VJJYduihDuk0aPpDtY9RzYWx0eQ=="),
        (
            "secret",
            "$6$rounds=1500$saltsalt$34Syr0FSbWlp9hNFif0BNSVHRPxwiPh79DU920TQC0DoAPilRd9UG4mVZjASSDEENmIuJl1xJneHoAcjNgCp00",
        ),
        (
            "secret",
            "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        ),
        (
            "",
            "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.",
        ),
        (
            "U*U",
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        ),
    ];

    #[test]
    fn right_passwords_match_and_others_do_not() {
        for (password, stored) in STORED {
            let stored = PasswordHash::parse(stored).unwrap_or_else(|e| panic!("{stored}: {e}"));
            assert!(matches(&stored, password.as_bytes()), "{}", stored.text());
            for wrong in [format!("{password}x"), format!("x{password}")] {
                assert!(
                    !matches(&stored, wrong.as_bytes()),
                    "{wrong:?} {}",
                    stored.text()
                );
            }
        }
    }
}
