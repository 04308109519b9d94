//! What the data plane must do, as plain data.
//!
//! [`Ir`] is the only thing the proxy reads. Every value in it is legal by construction: header names are
//! [`http::HeaderName`]s, patterns are compiled and anchored, shares are exact. The hot path therefore has no
//! configuration error to handle. Every type is `Clone + Eq + Serialize`; equal IR means that the running
//! cluster, pool and state are kept.
//!
//! **Invariant:** this crate knows neither Kubernetes nor tokio. Objects appear only as opaque identity strings.
//!
//! Start at [`Ir`], then [`Listener`], [`Route`] and [`StreamRule`].

mod auth;
mod cluster;
mod composed;
mod filter;
mod host;
mod listener;
mod listener_key;
mod matcher;
mod password;
mod path;
mod pattern;
mod policy;
mod redacted;
mod route;
mod rule;
mod serialize;
mod stream;
mod template;
mod tls;
mod told;

pub use auth::{Admission, AuthCookies, BasicAuth, ExternalAuth, Users};
pub use cluster::{BackendTimeouts, Balance, Cluster, ClusterKey, Endpoint, HashKey, Upstream};
pub use composed::{AnswerHeaders, Composed, HeaderTemplates, Location};
pub use filter::{
    Allowed, ClientAddresses, Cors, HeaderMods, HostRewrite, Mirror, OriginMatch, PathRewrite,
    Redirect, RedirectPath, Rewrite,
};
pub use host::HostSettings;
pub use listener::{Ir, Listener, Port, Protocol, SocketKey, Transport, Underscores, VirtualHost};
pub use listener_key::{ListenerKey, ListenerParent};
pub use matcher::{
    HeaderMatch, HostPattern, InvalidHost, PathMatch, QueryMatch, RequestMatch, ValueMatch,
};
pub use password::{InvalidHash, PasswordHash, Scheme};
pub use path::{BadPath, EscapedSlashes, Paths, ReadPath, canonical_path, resolve_dots};
pub use pattern::{Captures, InvalidPattern, PATTERN_SIZE_LIMIT, Pattern};
pub use policy::{
    ConcurrencyLimit, Cookie, RateLimit, RateUnit, Retry, RetryOn, SessionCarrier, SessionLifetime,
    SessionToken, Timeouts, VaryingAttributes,
};
pub use redacted::{Redacted, with_values};
pub use route::{
    Action, Backend, Fallback, Forward, Fraction, Reason, Route, RuleKey, Target, Told, UrlChange,
};
pub use rule::{Gates, RequestStep, Rule};
pub use stream::{DatagramPort, StreamBackend, StreamHost, StreamRule};
pub use template::{InvalidTemplate, Piece, Place, Template, Variable};
pub use tls::{
    Authorities, Certificate, CipherSuite, ClientAuth, SubjectName, TlsTermination, TlsVersions,
    UpstreamName, UpstreamTls, Verify,
};
pub use told::{ForwardedField, ForwardedFields, OwnStatuses, StrictTransport};
