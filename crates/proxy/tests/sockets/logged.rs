//! An access log that tests can read.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use proxy::Telemetry;
use serde_json::Value;
use telemetry::{access_log::AccessLog, metrics::Counter};

/// Telemetry whose access log is kept in memory.
pub(crate) struct Logged {
    pub(crate) telemetry: Telemetry,
    written: Written,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    pub(crate) fn new() -> Self {
        let written = Written::default();
        let telemetry = Telemetry {
            access_log: AccessLog::to(written.clone(), Counter::new()).unwrap(),
            ..Telemetry::default()
        };
        Self { telemetry, written }
    }

    /// What has been written so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert!(self.telemetry.access_log.flush(Duration::from_secs(10)));
        let text = String::from_utf8(self.written.0.lock().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// Status and reason of each line for this path.
    pub(crate) fn outcomes(&self, path: &str) -> Vec<(u64, String)> {
        let lines = self.lines().into_iter();
        lines
            .filter(|line| line["path"] == path)
            .map(|line| {
                let reason = line["reason"].as_str().unwrap_or_default();
                (line["status"].as_u64().unwrap(), reason.to_owned())
            })
            .collect()
    }

    /// A number of the metrics; none before it was counted for the first time.
    pub(crate) fn number(&self, series: &str) -> Option<u64> {
        let text = self.telemetry.metrics.encode();
        let mut values = text.lines().filter_map(|line| line.strip_prefix(series));
        values.next()?.trim().parse().ok()
    }
}
