use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, UNIX_EPOCH};

use http::Version;
use parking_lot::Mutex;
use proptest::prelude::{any, prop, proptest};
use serde_json::{Value, json};

use super::{AccessLog, AccessLogError, Record, Target};
use crate::metrics::Counter;
use crate::propagation::{SpanId, TraceId};

const SOON: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn record(path: &str) -> Record<'_> {
    Record {
        timestamp: UNIX_EPOCH + Duration::from_millis(1_735_689_599_123),
        method: "GET",
        path,
        host: "a.example",
        scheme: "https",
        protocol: Version::HTTP_11,
        status: 200,
        reason: None,
        duration: Duration::from_micros(1_234),
        upstream: None,
        attempts: 1,
        bytes_in: 0,
        bytes_out: 12,
        route: None,
        client: None,
        trace_id: None,
        span_id: None,
        user_agent: None,
    }
}

#[test]
fn a_line_says_all_that_is_known_and_nothing_else() {
    let sink = Sink::default();
    let log = AccessLog::to(sink.clone(), Counter::new()).unwrap();
    log.log(&record("/bare"));
    log.log(&Record {
        protocol: Version::HTTP_2,
        status: 503,
        reason: Some("no_endpoints"),
        upstream: Some("10.0.0.7:8080".parse().unwrap()),
        attempts: 3,
        bytes_in: u64::MAX,
        route: Some("HTTPRoute/default/web"),
        client: Some("2001:db8::1".parse().unwrap()),
        trace_id: Some(TraceId::from(0xabc)),
        span_id: Some(SpanId::from(0xdef)),
        user_agent: Some(b"curl/8"),
        ..record("/full")
    });
    assert!(log.flush(SOON));
    assert_eq!(
        sink.lines(),
        [
            json!({
                "timestamp": "2024-12-31T23:59:59.123Z", "method": "GET", "path": "/bare",
                "host": "a.example", "scheme": "https", "protocol": "HTTP/1.1", "status": 200,
                "duration_ms": 1.234, "attempts": 1, "bytes_in": 0, "bytes_out": 12,
            }),
            json!({
                "timestamp": "2024-12-31T23:59:59.123Z", "method": "GET", "path": "/full",
                "host": "a.example", "scheme": "https", "protocol": "HTTP/2", "status": 503,
                "reason": "no_endpoints", "duration_ms": 1.234, "upstream": "10.0.0.7:8080",
                "attempts": 3, "bytes_in": u64::MAX, "bytes_out": 12,
                "route": "HTTPRoute/default/web", "client": "2001:db8::1",
                "trace_id": "00000000000000000000000000000abc",
                "span_id": "0000000000000def", "user_agent": "curl/8",
            }),
        ]
    );
}

#[test]
fn nothing_a_client_sends_makes_a_second_line_or_reaches_a_terminal() {
    let sink = Sink::default();
    let log = AccessLog::to(sink.clone(), Counter::new()).unwrap();
    let path = "/\",\"status\":1}\r\n{\u{1b}[2J\u{9b}31m\u{85}\u{2028}\u{202e}\u{7f}é\0";
    log.log(&Record {
        user_agent: Some(b"\xff\n\"\\ \xc2\x9b"),
        ..record(path)
    });
    assert!(log.flush(SOON));
    let raw = String::from_utf8(sink.0.lock().clone()).unwrap();
    assert_eq!(raw.matches('\n').count(), 1, "{raw:?}");
    let clean = raw.trim_end_matches('\n');
    assert!(!clean.chars().any(char::is_control), "{raw:?}");
    assert!(!clean.contains(['\u{2028}', '\u{202e}']), "{raw:?}");
    let lines = sink.lines();
    assert_eq!(lines[0]["path"], path);
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["user_agent"], "\u{fffd}\n\"\\ \u{9b}");
}

#[test]
fn threads_interleave_whole_lines() {
    let sink = Sink::default();
    let dropped = Counter::new();
    let log = AccessLog::to(sink.clone(), dropped.clone()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = log.clone();
            scope.spawn(move || {
                for number in 0..250 {
                    log.log(&record(&format!("/{thread}/{number}")));
                }
            });
        }
    });
    assert!(log.flush(SOON));
    let lines = sink.lines();
    assert_eq!(lines.len() as u64 + dropped.get(), 2_000);
    let mut paths: Vec<_> = lines.iter().map(|line| line["path"].to_string()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), lines.len(), "no line twice");
}

/// A target whose first write waits for `go`, and says so on `stuck`.
struct Gate {
    stuck: SyncSender<()>,
    go: Receiver<()>,
    sink: Sink,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Once the test has dropped its end, writes pass.
        let _ = self.stuck.send(());
        let _ = self.go.recv();
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_target_costs_records_not_time() {
    let sink = Sink::default();
    let dropped = Counter::new();
    let (stuck, is_stuck) = mpsc::sync_channel(1);
    let (go, gate) = mpsc::channel();
    let target = Gate {
        stuck,
        go: gate,
        sink: sink.clone(),
    };
    let log = AccessLog::to(target, dropped.clone()).unwrap();
    log.log(&record("/first"));
    is_stuck.recv_timeout(SOON).unwrap();

    let big = "x".repeat(10_000);
    let total = 1_000;
    for _ in 0..total {
        log.log(&record(&big));
    }
    assert!(dropped.get() > 0, "10 MB do not fit");
    assert!(!log.flush(Duration::from_millis(20)), "still stuck");

    drop((go, is_stuck));
    assert!(log.flush(SOON));
    assert_eq!(sink.lines().len() as u64 + dropped.get(), total + 1);
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_target_counts_what_it_loses() {
    let dropped = Counter::new();
    let log = AccessLog::to(Broken, dropped.clone()).unwrap();
    log.log(&record("/1"));
    log.log(&record("/2"));
    assert!(log.flush(SOON));
    log.log(&record("/3"));
    assert!(log.flush(SOON));
    assert_eq!(dropped.get(), 3);
}

#[test]
fn a_file_is_appended_to_and_a_bad_path_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::fs::write(&path, "kept\n").unwrap();
    let log = AccessLog::open(&Target::File(path.clone()), Counter::new()).unwrap();
    log.log(&record("/"));
    assert!(log.flush(SOON));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("kept\n{\"timestamp\":"), "{text}");

    let missing = folder.path().join("no/such/folder.log");
    let error = AccessLog::open(&Target::File(missing), Counter::new()).unwrap_err();
    assert!(matches!(error, AccessLogError::Open { .. }));
    assert!(error.to_string().contains("no/such/folder.log"), "{error}");
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("log"), folder.path().join("old"));
    let log = AccessLog::open(&Target::File(path.clone()), Counter::new()).unwrap();
    let lines = |path: &std::path::Path| std::fs::read_to_string(path).unwrap().lines().count();
    log.log(&record("/1"));
    assert!(log.flush(SOON));
    std::fs::rename(&path, &old).unwrap();
    log.log(&record("/2"));
    assert!(log.flush(SOON));
    assert_eq!(lines(&old), 2, "until somebody asks");
    log.reopen();
    assert!(log.flush(SOON));
    assert_eq!(lines(&path), 0, "it is there without a line");
    log.log(&record("/3"));
    assert!(log.flush(SOON));
    assert_eq!((lines(&old), lines(&path)), (2, 1));
    // Where there can be no new one, the old one goes on.
    std::fs::rename(&path, &old).unwrap();
    std::fs::create_dir(&path).unwrap();
    log.reopen();
    log.log(&record("/4"));
    assert!(log.flush(SOON));
    assert_eq!(lines(&old), 2);
    AccessLog::off().reopen();
}

#[test]
fn off_is_off_and_targets_parse() {
    let log = AccessLog::open(&Target::Off, Counter::new()).unwrap();
    assert!(!log.is_enabled());
    log.log(&record("/"));
    assert!(log.flush(Duration::ZERO));

    assert_eq!("off".parse(), Ok(Target::Off));
    assert_eq!("-".parse(), Ok(Target::Stdout));
    assert_eq!("stdout".parse(), Ok(Target::Stdout));
    assert_eq!("/x/y".parse(), Ok(Target::File("/x/y".into())));
}

#[test]
fn the_last_handle_writes_what_is_left() {
    struct Ends(Sink, SyncSender<()>);
    impl Write for Ends {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Ends {
        fn drop(&mut self) {
            self.1.send(()).unwrap();
        }
    }
    let sink = Sink::default();
    let (ended, has_ended) = mpsc::sync_channel(1);
    let log = AccessLog::to(Ends(sink.clone(), ended), Counter::new()).unwrap();
    log.log(&record("/last"));
    drop(log);
    has_ended.recv_timeout(SOON).unwrap();
    assert_eq!(sink.lines()[0]["path"], "/last");
}

proptest! {
    #[test]
    fn any_text_round_trips_on_one_line(path in any::<String>(), agent in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut out = Vec::new();
        let line = Record { user_agent: Some(&agent), ..record(&path) };
        super::json::append_line(&mut out, &line).unwrap();
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["path"], path);
        assert_eq!(value["user_agent"], String::from_utf8_lossy(&agent).as_ref());
    }
}
