use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::layer::SubscriberExt;

use super::{LogError, LogFormat, output_layer, parse_filter};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(text: bool, colours: bool, filter: &str, act: impl FnOnce()) -> String {
    let sink = Sink::default();
    let maker = sink.clone();
    let layer = output_layer(text, colours, parse_filter(filter).unwrap(), move || {
        maker.clone()
    });
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
    let bytes = sink.0.lock().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn json_is_one_object_per_line_whatever_the_message() {
    let out = written(false, false, "", || {
        tracing::info!(port = 80, "first\nsecond \u{1b}[31m");
        tracing::debug!("below the default level");
    });
    assert_eq!(out.lines().count(), 1, "{out}");
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["port"], 80);
    assert_eq!(line["message"], "first\nsecond \u{1b}[31m");
}

#[test]
fn text_has_colours_only_when_asked() {
    let say = || tracing::warn!("hello");
    let plain = written(true, false, "info", say);
    assert!(
        plain.contains("WARN") && plain.contains("hello"),
        "{plain:?}"
    );
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    assert!(written(true, true, "info", say).contains('\u{1b}'));
}

#[test]
fn filters_select_by_target_and_bad_ones_are_named() {
    let out = written(true, false, "warn,wanted=debug", || {
        tracing::debug!(target: "wanted", "kept");
        tracing::debug!(target: "other", "left out");
    });
    assert!(out.contains("kept") && !out.contains("left out"), "{out:?}");

    let noise = || tracing::error!(target: "kube_client::client::builder", "failed with error client error");
    assert_eq!(written(true, false, "info", noise), "");
    let asked = written(
        true,
        false,
        "info,kube_client::client::builder=error",
        noise,
    );
    assert!(asked.contains("failed"), "{asked:?}");

    let error = parse_filter("proxy=loud").unwrap_err();
    assert!(matches!(error, LogError::Filter { .. }));
    assert!(error.to_string().contains("proxy=loud"), "{error}");
}

#[test]
fn formats_parse_by_name() {
    assert_eq!("json".parse::<LogFormat>().unwrap(), LogFormat::Json);
    assert_eq!("text".parse::<LogFormat>().unwrap(), LogFormat::Text);
    assert_eq!("auto".parse::<LogFormat>().unwrap(), LogFormat::Auto);
    assert!("xml".parse::<LogFormat>().is_err());
}
