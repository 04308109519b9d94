use super::{Fault, HeadScanner};

fn accepted(parts: &[&str]) -> bool {
    let mut scanner = HeadScanner::default();
    parts
        .iter()
        .all(|part| scanner.scan(part.as_bytes()).is_ok())
}

#[test]
fn ordinary_requests_pass_however_they_are_cut() {
    let text = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\nb\ncGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(accepted(&[text]));
    for at in 0..text.len() {
        assert!(accepted(&[&text[..at], &text[at..]]), "cut at {at}");
    }
    let bytes: Vec<String> = text.chars().map(String::from).collect();
    assert!(accepted(
        &bytes.iter().map(String::as_str).collect::<Vec<_>>()
    ));
}

#[test]
fn ambiguous_heads_do_not() {
    for head in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: +3\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\nHost: a\r\n\r\n",
    ] {
        assert!(!accepted(&[head]), "{head:?}");
        let bytes: Vec<String> = head.chars().map(String::from).collect();
        assert!(
            !accepted(&bytes.iter().map(String::as_str).collect::<Vec<_>>()),
            "{head:?} byte by byte"
        );
    }
}

#[test]
fn what_follows_a_chunked_body_is_scanned_too() {
    let body = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\na\nb\r\nA \r\n0123\n56789\r\n0\r\nt: 1\r\n\r\n";
    let pieces = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    for (next, passes) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", false),
        (
            "GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
        ),
    ] {
        let text = format!("{body}{next}");
        assert_eq!(accepted(&[&text]), passes, "{next:?}");
        let pieces = pieces(&text);
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        assert_eq!(accepted(&pieces), passes, "{next:?} byte by byte");
    }
}

#[test]
fn chunk_sizes_that_can_be_read_in_two_ways_are_refused() {
    for size in [
        "",
        "+3",
        "0x3",
        "3\n",
        "-1",
        "g",
        "fffffffffffffffff",
        "ffffffffffffffff",
    ] {
        let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n");
        assert!(!accepted(&[&text]), "{size:?}");
    }
}

#[test]
fn long_lines_may_be_cut_anywhere() {
    let text = format!(
        "GET / HTTP/1.1\r\nCookie: {}\r\nHost: a\r\n\r\n",
        "x".repeat(700)
    );
    for at in 0..text.len() {
        assert!(accepted(&[&text[..at], &text[at..]]), "cut at {at}");
    }
    for at in 300..600 {
        let parts = [&text[..at], &text[at..at + 100], &text[at + 100..]];
        assert!(accepted(&parts), "cut at {at}");
    }
    // A length that was not seen whole is not taken for one that was.
    let blank = format!(
        "GET / HTTP/1.1\r\nContent-Length:{}5\r\n\r\n",
        " ".repeat(700)
    );
    assert!(accepted(&[&blank]));
    assert!(!accepted(&[&blank[..600], &blank[600..]]));
}

/// What a whole text leads to: the fault, and how many requests had begun by then.
fn fault(text: &str) -> (Option<Fault>, u32) {
    let whole = {
        let mut scanner = HeadScanner::default();
        (scanner.scan(text.as_bytes()).err(), scanner.requests())
    };
    let mut scanner = HeadScanner::default();
    let mut bytes = text.as_bytes().chunks(1);
    let found = bytes.find_map(|byte| scanner.scan(byte).err());
    assert_eq!((found, scanner.requests()), whole, "{text:?} byte by byte");
    whole
}

#[test]
fn a_fault_is_that_of_one_request() {
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let ambiguous = Some(Fault::Ambiguous);
    for (text, expected) in [
        (format!("{good}{chunked}{good}"), (None, 3)),
        (format!("\r\n{good}\r\n\r\n{good}"), (None, 2)),
        (format!("{good}GET / HTTP/1.1\n"), (ambiguous, 2)),
        (format!("{good}\r\n\nGET"), (ambiguous, 2)),
        (
            format!("{good}POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n"),
            (ambiguous, 2),
        ),
        (
            format!("{chunked}{chunked}GET / HTTP/1.1\r\nA: b\n"),
            (ambiguous, 3),
        ),
    ] {
        assert_eq!(fault(&text), expected, "{text:?}");
    }
}

#[test]
fn codings_that_are_not_known_are_told_from_those_that_are_wrong() {
    let of = |coding: &str| {
        fault(&format!(
            "POST / HTTP/1.1\r\nTransfer-Encoding: {coding}\r\nHost: a\r\n\r\n0\r\n\r\n"
        ))
        .0
    };
    assert_eq!(of("chunked"), None);
    assert_eq!(of("gzip, chunked"), Some(Fault::UnknownCoding));
    assert_eq!(of("chunked, gzip"), Some(Fault::Ambiguous));
    assert_eq!(
        of("gzip, chunked\r\nContent-Length: 5"),
        Some(Fault::Ambiguous)
    );
    assert_eq!(of("gzip, chunked\r\nA: b\r\n c"), Some(Fault::Ambiguous));
}

#[test]
fn trailers_are_lines_of_fields() {
    let of = |trailer: &str| {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
        fault(&format!("{head}{trailer}\r\n\r\n")).0
    };
    assert_eq!(of("A: b\r\nC: d"), None);
    for bad in [":path: /x", "A: b\nC: d", "A: b\r\n c", " A: b"] {
        assert_eq!(of(bad), Some(Fault::Ambiguous), "{bad:?}");
    }
}
