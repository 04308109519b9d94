//! Which features a GatewayClass claims: those that are done, as far as the installed definitions have them.
//!
//! > The names MUST be sorted in ascending alphabetical order by each item's key. (GatewayClass `supportedFeatures`)

mod feature;
mod table;

pub use self::{
    feature::{Channel, Feature, Need, Release, Test},
    table::FEATURES,
};
use crate::version::{Definition, Definitions};

/// The features that may be claimed with these definitions, in ascending order.
///
/// Without definitions (files, or nobody may look at them) those that every known release has in its standard channel.
pub(crate) fn claimed(definitions: &Definitions) -> Vec<&'static str> {
    let rows = FEATURES.iter();
    rows.filter(|feature| {
        if definitions.is_empty() {
            feature.is_everywhere()
        } else {
            { definitions.get(feature.definition) }.is_some_and(|found| holds(feature, found))
        }
    })
    .map(|feature| feature.name)
    .collect()
}

/// Whether a definition as it is installed has what the feature needs. One that does not say its release has what all
/// releases have; one that does not say its channel is of the standard one.
fn holds(feature: &Feature, definition: &Definition) -> bool {
    let Some(release) = definition.version.as_deref().and_then(Release::parse) else {
        return feature.is_everywhere();
    };
    let channel = definition.channel.as_deref().and_then(Channel::parse);
    let lacks = { feature.need }.is_some_and(|need| definition.lacks.contains(&need));
    feature.is_of(release, channel.unwrap_or(Channel::Standard)) && !lacks
}

/// What features need beside the definition with that plural name.
pub fn needs(definition: &str) -> impl Iterator<Item = Need> {
    { FEATURES.iter() }
        .filter(move |feature| feature.definition == definition)
        .filter_map(|feature| feature.need)
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
