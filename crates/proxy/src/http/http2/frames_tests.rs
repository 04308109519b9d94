use super::{
    ACK, CONTINUATION, DATA, END_HEADERS, FORBIDDEN, Frames, HEADERS, RST_STREAM, SETTINGS, Seen,
    WINDOW_UPDATE,
};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn opening() -> Vec<u8> {
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()
}

/// What is seen when the bytes come in pieces of this size.
fn seen(frames: &mut Frames, bytes: &[u8], size: usize) -> Vec<Seen> {
    let mut all = Vec::new();
    for piece in bytes.chunks(size) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (seen, used) = frames.next(rest);
            assert!(used > 0);
            rest = &rest[used..];
            all.extend(seen);
        }
    }
    all
}

#[test]
fn frames_say_the_same_however_they_come() {
    let mut bytes = opening();
    let settings = [
        &[0, 3, 0, 0, 0, 9][..],
        &[0, 4, 0, 1, 0, 0],
        &[0, 4, 0, 0, 0, 0],
    ]
    .concat();
    bytes.extend(frame(SETTINGS, 0, 0, &settings));
    bytes.extend(frame(SETTINGS, ACK, 0, &[]));
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &[7; 300]));
    bytes.extend(frame(DATA, 0, 1, &[RST_STREAM; 70_000]));
    bytes.extend(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
    bytes.extend(frame(WINDOW_UPDATE, 0, 0, &[0x80, 0, 1, 0]));
    bytes.extend(frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    bytes.extend(frame(6, 0, 0, &[0; 8]));
    bytes.extend(frame(RST_STREAM, 0, 3, &[0, 0, 0, 8]));
    let expected = [
        Seen::Preface,
        Seen::StreamWindow(65_536),
        Seen::StreamWindow(0),
        Seen::Window(256),
        Seen::Reset,
        Seen::Reset,
    ];
    for size in [1, 2, 5, 9, 10, 23, 24, 25, 1_000, bytes.len()] {
        let mut frames = Frames::new(0);
        assert_eq!(seen(&mut frames, &bytes, size), expected, "{size}");
        assert!(!frames.is_in_part());
        assert_eq!(frames.whole(), 9);
    }
}

#[test]
fn a_head_is_in_part_until_its_last_frame_has_come() {
    let mut frames = Frames::new(0);
    let mut send = |bytes: &[u8]| {
        seen(&mut frames, bytes, usize::MAX);
        frames.is_in_part()
    };
    assert!(!send(&opening()));
    assert!(!send(&frame(HEADERS, END_HEADERS, 1, &[0; 9])));
    assert!(send(&frame(HEADERS, 0, 3, &[0; 9])));
    assert!(send(&frame(CONTINUATION, 0, 3, &[0; 9])));
    assert!(!send(&frame(CONTINUATION, END_HEADERS, 3, &[0; 9])));
    let head = frame(HEADERS, END_HEADERS, 5, &[0; 9]);
    assert!(send(&head[..3]), "even the frame's header");
    assert!(send(&head[3..12]));
    assert!(!send(&head[12..]));
    let data = frame(DATA, 0, 5, &[0; 99]);
    assert!(!send(&data[..50]), "a body's own affair");
    assert!(!send(&data[50..]));
}

#[test]
fn what_may_not_be_is_data_of_no_stream() {
    assert_eq!(FORBIDDEN, frame(DATA, 0, 0, &[]));
}
