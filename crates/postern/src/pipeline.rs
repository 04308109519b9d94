//! The heart of the program: objects in; IR, status and notes out. Every command runs these same steps.
//!
//! ```text
//! source -> converter::expand -> gateway_core::translate -> proxy.swap
//! ```

use std::sync::Arc;

use api::{ObjectRef, Resources};
use converter::{Note, Outcome};
use gateway_core::{Status, Translation, Translator};
use ir::Ir;

/// Pure steps that remember what they made, so that cost follows the change.
#[derive(Debug)]
pub(crate) struct Pipeline {
    converter: converter::Options,
    core: gateway_core::Options,
    translator: Translator,
    /// What Ingresses became last time.
    generated: Resources,
}

/// What became of all objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    /// Objects that Ingresses became.
    pub(crate) generated: Resources,
    /// One line for each annotation, and each part of an Ingress that is not served.
    pub(crate) notes: Vec<Note>,
    /// Objects that stand in the input and would be made from an Ingress too.
    pub(crate) clashes: Vec<ObjectRef>,
    /// What the data plane is to do.
    pub(crate) ir: Arc<Ir>,
    /// What is to be said about objects.
    pub(crate) status: Status,
}

impl Pipeline {
    /// A pipeline that has seen nothing yet.
    pub(crate) fn new(converter: converter::Options) -> Self {
        Self {
            converter,
            core: gateway_core::Options::default(),
            translator: Translator::default(),
            generated: Resources::default(),
        }
    }

    /// Runs all steps.
    pub(crate) fn run(&mut self, input: &Resources) -> Made {
        let expansion = converter::expand(input, &self.converter);
        let generated = self.keep(&expansion.generated);
        let (all, clashes) = merge(input, &generated);
        let Translation { ir, status } = self.translator.translate(&all, &self.core);
        Made {
            generated,
            notes: expansion.notes,
            clashes,
            ir: Arc::new(ir),
            status,
        }
    }

    /// An object that is what it was stays the same `Arc`: that is how the next step knows it again.
    fn keep(&mut self, made: &Resources) -> Resources {
        let mut kept = Resources::default();
        for object in made.iter() {
            let before = self.generated.get(&object.reference());
            kept.insert(before.filter(|before| *before == object).unwrap_or(object));
        }
        self.generated = kept.clone();
        kept
    }
}

/// Both together. An object that somebody wrote by hand counts before one that we would make.
fn merge(input: &Resources, generated: &Resources) -> (Resources, Vec<ObjectRef>) {
    let mut all = input.clone();
    let mut clashes = Vec::new();
    for object in generated.iter() {
        let reference = object.reference();
        match all.get(&reference) {
            Some(own) if !own.is_managed() => clashes.push(reference),
            _ => drop(all.insert(object)),
        }
    }
    (all, clashes)
}

impl Made {
    /// Everything that is not as its author would wish, one line each.
    pub(crate) fn findings(&self) -> Vec<String> {
        let notes = self
            .notes
            .iter()
            .filter(|note| note.outcome != Outcome::Exact)
            .map(ToString::to_string);
        let clashes = self.clashes.iter().map(clash);
        notes.chain(clashes).chain(problems(&self.status)).collect()
    }
}

/// What to say about an object of [`Made::clashes`].
pub(crate) fn clash(object: &ObjectRef) -> String {
    format!(
        "{object}: is in the input, and would be made from an Ingress too; the one in the input counts"
    )
}

/// Conditions that tell of something wrong, one line each.
pub(crate) fn problems(status: &Status) -> impl Iterator<Item = String> + '_ {
    status.problems().map(|(object, place, condition)| {
        if place.is_empty() {
            format!("{object}: {condition}")
        } else {
            format!("{object} {place}: {condition}")
        }
    })
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
