//! The command line: what there is to say, parsed. What the words do is in [`crate::command`].

mod cluster;
mod context;
mod proxy;
mod value;

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use api::ObjectKey;
use clap::{Args, Parser, Subcommand, ValueEnum};
use telemetry::{access_log, log::LogFormat};

pub(crate) use cluster::{ClusterArgs, IngressTranslation, Switch, TrafficPolicy, WithdrawArgs};
pub(crate) use context::ContextArgs;
pub(crate) use proxy::ProxyArgs;

use crate::stand_in;

/// What `--help` says about exit codes.
const EXIT_CODES: &str = "\
Exit codes:
  0  all is well
  1  the command could not run: a file or cluster that cannot be read (convert, check, explain and diff then say
     nothing of the others), a port in use
  2  the command line is wrong
  3  the command ran, and there is something to look at: convert lost or approximated something or made nothing of
     any Ingress, check found problems, explain found no route, diff found differences, or nothing that proves
     anything";

/// Annotated Ingresses and Gateway API resources in, traffic out.
#[derive(Debug, Parser)]
#[command(name = "postern", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve traffic as the objects of a cluster, or manifests, say, and follow their changes.
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// Translate Ingresses to Gateway API objects and report what became of every annotation.
    ///
    /// Objects go to standard output, ready for `kubectl apply -f -`; the report goes to standard error.
    #[command(after_help = EXIT_CODES)]
    Convert(ConvertArgs),
    /// Say what would be served and what is wrong, without serving.
    #[command(after_help = EXIT_CODES)]
    Check(CheckArgs),
    /// Say which listener, route, rule, filters and backend a request would meet, or why none.
    #[command(after_help = EXIT_CODES)]
    Explain(ExplainArgs),
    /// Send the same requests to a running gateway and to the translation, and print what differs.
    ///
    /// Requests are thought of from the routes (each path and those beside it, hosts, headers, cookies and queries met
    /// and missed), or read from a file. The translation is served in this process, on loopback; it asks the backends
    /// that the objects name, so it has to run where these can be reached. Compared are status, Location, cookies set,
    /// headers of CORS and authentication, what backends tell (a header with their name, or a JSON body with `backend`,
    /// `host` and `path` that they saw), and over https whether the certificate is for the host. Answers that are alike
    /// and prove nothing are counted by why.
    #[command(after_help = EXIT_CODES)]
    Diff(DiffArgs),
    /// Serve the shipped examples with echo backends, and show requests to try.
    #[command(after_help = EXIT_CODES)]
    Demo(DemoArgs),
    /// Take our addresses out of the status of all Ingresses of a cluster, before Postern is uninstalled there.
    ///
    /// Replicas that run stop writing to the API server meanwhile, and go on serving. The chart does it by itself.
    #[command(after_help = EXIT_CODES)]
    Withdraw(WithdrawArgs),
    /// Write the ClusterRole and the Role that `run` needs in a cluster.
    #[command(hide = true)]
    Rbac {
        /// Name of both.
        #[arg(default_value = "postern")]
        name: String,
    },
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// Which objects to read, and which of the Ingresses are ours.
#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    /// Manifests: a directory, read with all below it, or a file of YAML or JSON. `-` is standard input. Repeatable.
    #[arg(
        short = 'f',
        long = "file",
        value_name = "PATH",
        required_unless_present_any = ["context", "current_context", "kubeconfig"]
    )]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ContextArgs,
    #[command(flatten)]
    pub(crate) ingress: IngressArgs,
}

/// How Ingresses are read.
#[derive(Debug, Args)]
pub(crate) struct IngressArgs {
    /// Ingress class that is ours, instead of these. Its Ingresses are read by the rules of ingress-nginx or Higress,
    /// as `=nginx` or `=higress` behind the name says. Without: those of the controller that the IngressClass names;
    /// where it names neither, ingress-nginx' for the name `nginx`, and Higress' for others. Repeatable.
    #[arg(
        long = "ingress-class",
        value_name = "NAME[=RULES]",
        env = "POSTERN_INGRESS_CLASS",
        value_delimiter = ',',
        default_values = ["higress", "mse"]
    )]
    pub(crate) classes: Vec<converter::Class>,
    /// Network of peers whose X-Forwarded-For, -Proto, -Port and -Host are believed and extended; those of others are
    /// replaced. With any, redirects of Ingresses to https spare clients that such a peer says have come over TLS.
    /// Repeatable.
    #[arg(
        long = "trusted-proxy",
        value_name = "CIDR",
        env = "POSTERN_TRUSTED_PROXIES",
        value_delimiter = ','
    )]
    pub(crate) trusted_proxies: Vec<ipnet::IpNet>,
    /// Secret with the certificate that hosts of the class nginx show which have none of their own. Where there is no
    /// such Secret, `run`, `check`, `explain` and `diff` make a self-signed one for themselves. Default:
    /// `postern-default-certificate` in the namespace of the Gateway for Ingresses.
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        env = "POSTERN_DEFAULT_CERTIFICATE",
        value_parser = value::object_key
    )]
    pub(crate) default_certificate: Option<ObjectKey>,
}

impl IngressArgs {
    /// As the converter wants it.
    pub(crate) fn options(&self) -> converter::Options {
        converter::Options {
            ingress_classes: self.classes.clone(),
            behind_proxies: !self.trusted_proxies.is_empty(),
            default_certificate: self.default_certificate.clone(),
            ..converter::Options::default()
        }
    }

    /// Likewise, for who serves what comes of it, or says what would be served: with a certificate for want of another.
    pub(crate) fn serving(&self) -> converter::Options {
        let made = stand_in::make();
        if let Err(error) = &made {
            tracing::warn!(%error, "no certificate could be made: hosts without one of their own have no HTTPS");
        }
        converter::Options {
            stand_in: made.ok(),
            ..self.options()
        }
    }
}

/// `postern run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Manifests to serve: a directory, read with all below it, or a file of YAML or JSON. Changes are followed,
    /// SIGHUP looks at once. Repeatable. Default: the cluster that the pod runs in, or that the kubeconfig names.
    #[arg(
        short = 'f',
        long = "file",
        value_name = "PATH",
        env = "POSTERN_FILES",
        value_delimiter = ','
    )]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) ingress: IngressArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) proxy: ProxyArgs,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

/// What concerns the process and not the traffic.
#[derive(Debug, Args)]
#[command(next_help_heading = "Operation")]
pub(crate) struct ProcessArgs {
    /// Where /healthz, /readyz, /metrics, /config and /status are served; `off` for nowhere. Port 0 lets the system
    /// choose; the log says what it chose.
    #[arg(
        long,
        value_name = "ADDR",
        env = "POSTERN_ADMIN",
        default_value = "127.0.0.1:15000"
    )]
    pub(crate) admin: AdminAddress,
    /// Another name by which the admin endpoint may be asked, as in the request's Host, without port: that of a
    /// Service, or of a proxy before it. Addresses, localhost and the host's own name always will do; other names are
    /// answered 421, so that no page that is open in a browser can read it. Repeatable.
    #[arg(
        long = "admin-host",
        value_name = "NAME",
        env = "POSTERN_ADMIN_HOST",
        value_delimiter = ',',
        value_parser = value::host
    )]
    pub(crate) admin_hosts: Vec<String>,
    /// On SIGTERM, how long new connections are still taken, until no load balancer sends any: /readyz is 503 from the
    /// signal on, and every answer tells its client to go (`Connection: close`, GOAWAY).
    #[arg(long, value_name = "TIME", env = "POSTERN_DRAIN_DELAY", default_value = "0s", value_parser = value::duration)]
    pub(crate) drain_delay: Duration,
    /// After that, how long requests in flight may take to finish.
    #[arg(long, value_name = "TIME", env = "POSTERN_DRAIN_TIMEOUT", default_value = "30s", value_parser = value::duration)]
    pub(crate) drain_timeout: Duration,
    /// Where the access log goes, one JSON object for each request: `off`, `stdout`, or a file, which is
    /// appended to.
    #[arg(long, value_name = "TARGET", env = "POSTERN_ACCESS_LOG", default_value = "stdout", value_parser = target)]
    pub(crate) access_log: access_log::Target,
    /// How diagnostics are written to standard error: `text`, `json`, or `auto`, which is text on a terminal
    /// and JSON elsewhere.
    #[arg(
        long,
        value_name = "FORMAT",
        env = "POSTERN_LOG_FORMAT",
        default_value = "auto"
    )]
    pub(crate) log_format: LogFormat,
    /// Which diagnostics: a level, or directives such as `info,proxy=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        env = "POSTERN_LOG_LEVEL",
        default_value = "info"
    )]
    pub(crate) log_level: String,
}

fn target(text: &str) -> Result<access_log::Target, String> {
    match text.parse() {
        Ok(target) => Ok(target),
        Err(never) => match never {},
    }
}

/// Where the admin endpoint listens, if anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdminAddress(pub(crate) Option<SocketAddr>);

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse();
        address
            .map(|address| Self(Some(address)))
            .map_err(|_| "give ADDRESS:PORT, or off".to_owned())
    }
}

/// `postern convert`
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) manifests: ManifestArgs,
    /// Write every other object that was read too, apart from Ingresses: the output then stands for the input as a
    /// whole. Mind that this includes Secrets. With files alone: what a cluster has is not printed.
    #[arg(long, conflicts_with_all = ["context", "current_context", "kubeconfig"])]
    pub(crate) all: bool,
    /// How to write objects: YAML unless said otherwise. With a bare `--report`, how to write that: text unless said
    /// otherwise.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<ObjectFormat>,
    /// Where the report goes: a file (JSON or YAML if its name ends so, else text), `-` for standard error, or `none`.
    /// Without a value: the report alone, without objects, on standard output. Of more than 20 Ingresses text has a
    /// summary by key; JSON and YAML always have every annotation of every Ingress too.
    #[arg(long, value_name = "TARGET", default_value = "-", num_args = 0..=1, default_missing_value = REPORT_ALONE)]
    pub(crate) report: String,
}

/// Stands for `--report` without a value.
pub(crate) const REPORT_ALONE: &str = "stdout";

/// How to print objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectFormat {
    /// One document for each object.
    Yaml,
    /// One `List`.
    Json,
}

/// `postern check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) manifests: ManifestArgs,
    /// How to print.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

/// `postern explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) manifests: ManifestArgs,
    /// The request's method.
    pub(crate) method: String,
    /// The request's URL. Its scheme and port choose the listener: 80 for http and 443 for https, unless given.
    pub(crate) url: String,
    /// A header of the request, as `Name: value`. Repeatable.
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = value::header)]
    pub(crate) headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// The client's address, which allow and deny lists are asked about.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) client: std::net::IpAddr,
    /// How to print.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

/// Of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scheme {
    /// Plain.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// Whether it is the one with TLS.
    pub(crate) const fn is_https(self) -> bool {
        matches!(self, Self::Https)
    }
}

/// `postern diff`
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(crate) manifests: ManifestArgs,
    /// The running gateway: http://HOST:PORT, https://HOST:PORT or one of each. Certificates are not verified.
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) against: Vec<String>,
    /// Send the requests of a file instead of thinking of some: a JSON object a line (`path`, and if need be `method`,
    /// `scheme`, `host`, `headers`), or an access log of nginx, ingress-nginx, Higress, Envoy or Postern. `-` is
    /// standard input.
    #[arg(long, value_name = "PATH")]
    pub(crate) requests: Option<PathBuf>,
    /// The format of the log, as nginx' log_format or ingress-nginx' log-format-upstream has it, where lines are none
    /// of these.
    #[arg(long, value_name = "FORMAT", requires = "requests")]
    pub(crate) log_format: Option<crate::diff::recorded::format::Format>,
    /// Host of recorded requests whose line names none. Without it, a log that names no host at all is refused.
    #[arg(long, value_name = "HOST", requires = "requests")]
    pub(crate) host: Option<String>,
    /// Scheme of recorded requests whose line does not say it. Default: https for hosts that have TLS in what is read,
    /// http for others.
    #[arg(long, value_name = "SCHEME", requires = "requests")]
    pub(crate) scheme: Option<Scheme>,
    /// Send methods other than GET, HEAD and OPTIONS too. Each request is sent twice: once to each gateway.
    #[arg(long)]
    pub(crate) all_methods: bool,
    /// Header by which backends say who they are.
    #[arg(long, value_name = "NAME", default_value = "x-backend")]
    pub(crate) backend_header: http::HeaderName,
    /// Another response header to compare. Repeatable.
    #[arg(long = "compare-header", value_name = "NAME")]
    pub(crate) headers: Vec<http::HeaderName>,
    /// Requests on their way at a time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,
    /// Most requests to send; of more, an even selection is sent.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) limit: usize,
    /// How long an answer may take.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = value::deadline)]
    pub(crate) timeout: Duration,
    /// How to print.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

/// `postern demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Serve only these examples.
    #[arg(value_name = "EXAMPLE")]
    pub(crate) examples: Vec<String>,
    /// First of the ports to serve on: each example has its own. 0 lets the system choose all of them.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Send the requests, print the answers and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// Name the examples and end.
    #[arg(long)]
    pub(crate) list: bool,
    /// Write an example's manifests to standard output and end.
    #[arg(long, requires = "examples")]
    pub(crate) show: bool,
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
