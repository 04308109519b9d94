//! What RoutePolicies have backends and clients told.

use api::{CorsAnswers, ForwardedHeader, RoutePolicySpec, StrictTransportSecurity};
use ir::{ForwardedField, ForwardedFields, OwnStatuses, Rule, StrictTransport};

use super::{Owner, TranslatedRule, sound};
use crate::{lookup::Lookup, policy};

/// What the policies of a rule say about it.
#[derive(Debug, Default)]
pub(super) struct Told {
    forwarded: ForwardedFields,
    strict_transport: Option<StrictTransport>,
    statuses: OwnStatuses,
    /// How its CORS filter speaks.
    pub(super) cors: Option<CorsAnswers>,
}

impl Told {
    pub(super) fn of(
        name: Option<&str>,
        owner: Owner<'_>,
        lookup: &Lookup<'_>,
        rule: &mut TranslatedRule,
    ) -> Self {
        let policies = lookup.route_policies(owner.reference, name);
        let specs = || policies.iter().map(|policy| &policy.spec);
        let forwarded = |spec: &RoutePolicySpec| {
            let fields: ForwardedFields = spec.forwarded_headers.iter().map(field).collect();
            (!fields.is_empty()).then_some(fields)
        };
        let statuses = specs().find_map(|spec| spec.gateway_statuses.as_ref());
        let hsts = specs().find_map(|spec| spec.strict_transport_security.as_ref());
        Self {
            forwarded: specs().find_map(forwarded).unwrap_or_default(),
            strict_transport: hsts.map(strict_transport),
            statuses: sound(statuses.map(policy::own_statuses), &mut rule.faults)
                .unwrap_or_default(),
            cors: specs().find_map(|spec| spec.cors),
        }
    }

    /// Puts it into a rule.
    pub(super) fn tell(&self, rule: &mut Rule) {
        rule.forwarded = self.forwarded;
        rule.statuses = self.statuses;
        rule.strict_transport = self.strict_transport.clone().map(Box::new);
    }
}

const fn field(header: &ForwardedHeader) -> ForwardedField {
    match header {
        ForwardedHeader::XRequestID => ForwardedField::RequestId,
        ForwardedHeader::XRealIP => ForwardedField::RealIp,
        ForwardedHeader::XForwardedFor => ForwardedField::ClientAlone,
        ForwardedHeader::XOriginalForwardedFor => ForwardedField::OriginalForwardedFor,
        ForwardedHeader::XForwardedHost => ForwardedField::HostAlone,
        ForwardedHeader::XForwardedPort => ForwardedField::Port,
        ForwardedHeader::XForwardedScheme => ForwardedField::ForwardedScheme,
        ForwardedHeader::XScheme => ForwardedField::Scheme,
    }
}

fn strict_transport(declared: &StrictTransportSecurity) -> StrictTransport {
    let StrictTransportSecurity {
        max_age,
        include_sub_domains,
        preload,
    } = *declared;
    StrictTransport::new(max_age, include_sub_domains, preload)
}
