//! Which condition types are ours, by the place in a status where they stand.

use super::types;

/// A list of conditions in the status of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// `status.conditions` of a GatewayClass.
    Class,
    /// `status.conditions` of a Gateway.
    Gateway,
    /// `status.conditions` of a ListenerSet.
    ListenerSet,
    /// `status.listeners[].conditions` of a Gateway or ListenerSet.
    Listener,
    /// `status.parents[].conditions` of a route, in entries with our controller's name.
    Parent,
    /// `status.ancestors[].conditions` of a policy, in entries with our controller's name.
    Ancestor,
}

impl Place {
    /// Every place that we write conditions to.
    pub const ALL: &'static [Self] = &[
        Self::Class,
        Self::Gateway,
        Self::ListenerSet,
        Self::Listener,
        Self::Parent,
        Self::Ancestor,
    ];

    /// How many conditions the API server takes here, those of others included: `maxItems` of the list.
    pub const LONGEST: usize = 8;

    /// The types that we write here. This is the only list of them: a condition of one of these types is ours to change
    /// and to remove, and every other condition is not.
    ///
    /// > Implementations MUST NOT remove or reorder Conditions that they are not directly responsible for.
    #[must_use]
    pub const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Class => &[types::ACCEPTED, types::SUPPORTED_VERSION],
            Self::Gateway => &[
                types::ACCEPTED,
                types::PROGRAMMED,
                types::RESOLVED_REFS,
                types::INSECURE_FRONTEND,
                types::ADDRESSES_ASSIGNED,
            ],
            Self::ListenerSet => &[types::ACCEPTED, types::PROGRAMMED],
            Self::Listener => &[
                types::ACCEPTED,
                types::PROGRAMMED,
                types::RESOLVED_REFS,
                types::CONFLICTED,
                types::OVERLAPPING_TLS,
            ],
            Self::Parent => &[
                types::ACCEPTED,
                types::RESOLVED_REFS,
                types::PARTIALLY_INVALID,
            ],
            Self::Ancestor => &[types::ACCEPTED, types::RESOLVED_REFS],
        }
    }

    /// Whether a condition of this type is ours here.
    #[must_use]
    pub fn is_ours(self, type_: &str) -> bool {
        self.types().contains(&type_)
    }
}
