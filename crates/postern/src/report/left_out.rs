//! Ingresses that are not served because of their class, or because of the version that they are written in.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use super::plural;
use crate::{output::Style, pipeline::Made, source::Update};

/// How many there are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LeftOut<'a> {
    #[serde(flatten)]
    of_classes: &'a converter::LeftOut,
    /// By `apiVersion`.
    by_version: BTreeMap<&'a str, usize>,
    /// Nothing was made of any Ingress.
    #[serde(skip)]
    nothing_made: bool,
}

impl<'a> LeftOut<'a> {
    pub(crate) fn new(update: &'a Update, made: &'a Made) -> Self {
        Self {
            of_classes: &made.left_out,
            by_version: update.old_ingresses().collect(),
            nothing_made: made.generated.is_empty(),
        }
    }

    /// Whether there are Ingresses, and nothing was made of any.
    pub(crate) fn is_all(&self) -> bool {
        let count = self.of_classes.count() + self.by_version.values().sum::<usize>();
        count > 0 && self.nothing_made
    }

    /// For people; nothing where nothing is left out.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let mark = match self.is_all() {
            true => style.red("x"),
            false => style.yellow("!"),
        };
        let mut line = |count: usize, what: &str| {
            let count = plural(count, "Ingress");
            let _ = writeln!(text, "{mark} left out: {count} {what}");
        };
        for (class, count) in &self.of_classes.by_class {
            line(
                *count,
                &format!("of the class {class:?}, which is not ours (--ingress-class {class})"),
            );
        }
        if self.of_classes.without_class > 0 {
            line(
                self.of_classes.without_class,
                "without a class, while no IngressClass of ours is the default one",
            );
        }
        for (version, count) in &self.by_version {
            line(
                *count,
                &format!(
                    "of {version}, which no API server serves since Kubernetes 1.22; networking.k8s.io/v1 is read"
                ),
            );
        }
        text
    }
}
