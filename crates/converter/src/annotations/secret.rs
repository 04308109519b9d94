//! What notes say about Secrets that annotations name.

use api::ObjectKey;

use super::Reader;

impl Reader<'_> {
    /// What a note adds about a Secret that is not there, or has none of these entries (any will do where none is
    /// named); `until` says what holds meanwhile. Empty where nothing is wrong.
    pub(crate) fn pending(&self, key: &ObjectKey, entries: &[&str], until: &str) -> String {
        let Some(secret) = self.lookup.secret(key) else {
            return format!("; Secret {key} is not there: until it is, {until}");
        };
        let data = secret.data.iter().flatten().map(|(name, _)| name);
        let text = secret.string_data.iter().flatten().map(|(name, _)| name);
        let mut names = data.chain(text);
        let found = names.any(|name| entries.is_empty() || entries.contains(&name.as_str()));
        match entries.first() {
            _ if found => String::new(),
            None => format!("; Secret {key} is empty: until it is not, {until}"),
            Some(_) => {
                let entries = entries.join(" or ");
                format!("; Secret {key} has no entry {entries}: until it has, {until}")
            }
        }
    }
}
