//! The MD5-based crypt of FreeBSD, and Apache's variant of it: a thousand rounds, salted.

use md5::{Digest, Md5};

const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The digest of a password as text; `magic` is `$apr1$` or `$1$`.
pub(crate) fn md5_crypt(password: &[u8], magic: &str, salt: &[u8]) -> [u8; 22] {
    let inner = digest(&[password, salt, password]);
    let mut outer = Md5::new();
    for part in [password, magic.as_bytes(), salt] {
        outer.update(part);
    }
    let chunks = password.chunks(inner.len());
    chunks.for_each(|chunk| outer.update(&inner[..chunk.len()]));
    // A bit of the length: a zero byte for one, the first byte of the password for none.
    let mut length = password.len();
    while length > 0 {
        outer.update(if length & 1 == 1 {
            &[0]
        } else {
            &password[..1]
        });
        length >>= 1;
    }
    let mut last: [u8; 16] = outer.finalize().into();
    for round in 0..1000 {
        let (first, second) = if round % 2 == 1 {
            (password, &last[..])
        } else {
            (&last[..], password)
        };
        let salted = if round % 3 == 0 { &[] } else { salt };
        let again = if round % 7 == 0 { &[] } else { password };
        last = digest(&[first, salted, again, second]);
    }
    text(&last)
}

fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Md5::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// Six bits a character, least significant first, the bytes in an order of their own.
fn text(digest: &[u8; 16]) -> [u8; 22] {
    const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
    let mut text = [0; 22];
    let mut write = |at: usize, mut bits: u32, count: usize| {
        for place in &mut text[at..at + count] {
            *place = DIGITS[(bits & 63) as usize];
            bits >>= 6;
        }
    };
    for (group, bytes) in ORDER.iter().enumerate() {
        let [high, middle, low] = bytes.map(|at| u32::from(digest[at]));
        write(group * 4, high << 16 | middle << 8 | low, 4);
    }
    write(20, u32::from(digest[11]), 2);
    text
}
