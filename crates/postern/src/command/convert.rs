//! `postern convert`: Ingresses to Gateway API objects, and a report.

use std::{fs, path::Path};

use anyhow::Context;
use api::{Kind, Object, Reading, Resources, yaml};
use serde_json::{Value, json};

use super::{Ended, Loaded, load};
use crate::{
    apply,
    cli::{ConvertArgs, Format, ObjectFormat, REPORT_ALONE},
    output::{self, Style},
    report::Report,
};

/// Translates, writes, reports.
pub(super) fn convert(args: &ConvertArgs) -> anyhow::Result<Ended> {
    let loaded = load(&args.manifests, args.manifests.ingress.options())?;
    let Loaded { update, made } = &loaded;
    let mut report = Report::new(update, made);
    report.needs = needs(&loaded, &args.manifests.ingress.options());
    let ended = Ended::well_if(report.is_exact());
    if args.report == REPORT_ALONE {
        output::print(&match args.output {
            None => report.text(Style::stdout()),
            Some(ObjectFormat::Json) => output::structured(Format::Json, &report)?,
            Some(ObjectFormat::Yaml) => output::structured(Format::Yaml, &report)?,
        })?;
        return Ok(ended);
    }
    let objects = match update.cluster {
        _ if args.all => all(&loaded),
        Some(_) => missing(&loaded),
        None => loaded.made.generated.clone(),
    };
    output::print(&match args.output {
        None | Some(ObjectFormat::Yaml) => {
            let needs = report.needs.as_ref().map(|needs| format!("# {needs}\n"));
            needs.unwrap_or_default() + &yaml::write(&objects)
        }
        Some(ObjectFormat::Json) => list(&objects)?,
    })?;
    write(&report, &args.report)?;
    Ok(ended)
}

/// What the cluster does not have yet, or has otherwise from an earlier conversion. What a Postern keeps there is its
/// own affair. What stands there under such a name and is not marked as converted is somebody's own: it is told of as a
/// clash, and not overwritten.
fn missing(loaded: &Loaded) -> Resources {
    let mut missing = Resources::default();
    for object in loaded.made.generated.iter() {
        let reference = object.reference();
        let there = loaded.update.resources.get(&reference);
        let kept = loaded.update.kept.contains(&reference)
            || there.is_some_and(|there| holds(&object, &there));
        if !kept && !loaded.made.clashes.contains(&reference) {
            missing.insert(object);
        }
    }
    missing
}

/// Whether an object of the cluster is as it would be made.
fn holds(wanted: &Object, there: &Object) -> bool {
    let (wanted, there) = (wanted.to_json(), there.to_json());
    wanted.is_ok_and(|wanted| there.is_ok_and(|there| apply::holds(&wanted, &there)))
}

/// What has to be there beside the output, so that all of it is served.
fn needs(loaded: &Loaded, options: &converter::Options) -> Option<String> {
    let secret = converter::default_certificate(options);
    if loaded.update.resources.secrets.contains_key(&secret) {
        return None;
    }
    let sets = loaded.made.generated.listener_sets.iter();
    let mut listeners = sets
        .filter(|(key, _)| key.namespace == secret.namespace)
        .flat_map(|(_, set)| &set.spec.listeners);
    let refers = listeners.any(|listener| {
        let mut named = listener
            .tls
            .iter()
            .flat_map(|tls| tls.certificate_refs.iter().flatten());
        named.any(|reference| *reference.name == *secret.name)
    });
    refers.then(|| {
        format!(
            "Hosts without a certificate of their own show that of Secret {secret}, which is not among the input. Postern shows a self-signed \
             one in its place; to have another, create it: kubectl create secret tls {} --namespace {} --cert FILE --key FILE",
            secret.name, secret.namespace
        )
    })
}

/// Everything but the Ingresses: whoever serves it does what the Ingresses asked for.
fn all(loaded: &Loaded) -> Resources {
    let mut all = loaded.made.generated.clone();
    for object in loaded.update.resources.iter() {
        let reference = object.reference();
        // Without a field that nobody here knows it might say less than its author wrote; the problem names it.
        let beyond = loaded.update.resources.beyond(&reference);
        if beyond.is_some_and(|beyond| !beyond.is_known()) {
            continue;
        }
        let generated = loaded.made.generated.get(&reference).is_some()
            && !loaded.made.clashes.contains(&reference);
        if reference.kind != Kind::Ingress && !generated {
            all.insert_reading(Reading {
                object,
                beyond: loaded.update.resources.beyond.get(&reference).cloned(),
            });
        }
    }
    all
}

fn list(objects: &Resources) -> anyhow::Result<String> {
    let items = objects
        .iter()
        .map(|object| objects.written(&object))
        .collect::<Result<Vec<Value>, _>>()?;
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    output::structured(Format::Json, &list)
}

fn write(report: &Report<'_>, target: &str) -> anyhow::Result<()> {
    match target {
        "none" => Ok(()),
        "-" => {
            output::complain(&report.text(Style::stderr()));
            Ok(())
        }
        path => {
            let ending = Path::new(path)
                .extension()
                .and_then(|ending| ending.to_str());
            let text = match ending {
                Some("json") => output::structured(Format::Json, report)?,
                Some("yaml" | "yml") => output::structured(Format::Yaml, report)?,
                _ => report.text(Style::plain()),
            };
            fs::write(path, text).with_context(|| format!("cannot write the report to {path}"))
        }
    }
}
