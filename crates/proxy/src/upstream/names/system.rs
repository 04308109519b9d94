//! What the system says about names: the hosts file, and whom to ask how.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    rc::Rc,
    str::FromStr,
    time::{Duration, SystemTime},
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{
        ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig,
        ResolverOpts,
    },
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
};

use super::dns::{self, Dns};

/// A server may take so long to answer one question, and is asked so often, whatever the file says.
const QUESTION: (Duration, usize) = (Duration::from_secs(2), 2);

const PORT: u16 = 53;

/// The files, and what they say. They are looked at for each lookup, and read again when they have changed.
pub(super) struct System {
    hosts: PathBuf,
    resolv_conf: PathBuf,
    servers: Vec<SocketAddr>,
    read: RefCell<Option<([Stamp; 2], Rc<Read>)>>,
}

/// What a file was when it was read.
type Stamp = Option<(SystemTime, u64)>;

/// What the files say.
pub(super) struct Read {
    hosts: Hosts,
    pub(super) dns: Result<Dns, String>,
}

impl System {
    /// `servers` are asked in the stead of those in `/etc/resolv.conf`, if there are any.
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self::at("/etc/hosts".into(), "/etc/resolv.conf".into(), servers)
    }

    pub(super) const fn at(hosts: PathBuf, resolv_conf: PathBuf, servers: Vec<SocketAddr>) -> Self {
        Self {
            hosts,
            resolv_conf,
            servers,
            read: RefCell::new(None),
        }
    }

    /// What the files say now.
    pub(super) fn read(&self) -> Rc<Read> {
        let stamps = [stamp(&self.hosts), stamp(&self.resolv_conf)];
        let mut read = self.read.borrow_mut();
        if let Some((known, read)) = &*read
            && *known == stamps
        {
            return Rc::clone(read);
        }
        let made = Rc::new(Read {
            hosts: hosts(&self.hosts),
            dns: self.dns().map_err(|error| error.to_string()),
        });
        *read = Some((stamps, Rc::clone(&made)));
        made
    }

    fn dns(&self) -> Result<Dns, NetError> {
        let said = contents(&self.resolv_conf);
        let (mut said, errors) = resolv_conf::Config::parse_with_errors(&said);
        for error in errors {
            tracing::warn!(path = %self.resolv_conf.display(), %error, "a line is passed over");
        }
        said.glibc_normalize();
        let local = said.get_nameservers_or_local().into_iter();
        let local = local.map(|address| SocketAddr::new(IpAddr::from(address), PORT));
        let servers = match &*self.servers {
            [] => local.map(server).collect(),
            servers => servers.iter().copied().map(server).collect(),
        };
        let mut options = ResolverOpts::default();
        options.timeout = QUESTION.0.min(Duration::from_secs(said.timeout.into()));
        options.attempts = QUESTION.1.min(usize::try_from(said.attempts).unwrap_or(1));
        options.edns0 = said.edns0;
        // What is known is kept elsewhere, hosts are looked up before, and names are completed in `dns.rs`.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let provider = TokioRuntimeProvider::default();
        let resolver = TokioResolver::builder_with_config(config, provider).with_options(options);
        let search = said.get_last_search_or_domain();
        Ok(Dns {
            resolver: resolver.build()?,
            search: search
                .filter_map(|name| Name::from_str(name).ok())
                .collect(),
            ndots: usize::try_from(said.ndots).unwrap_or(usize::MAX),
        })
    }
}

impl Read {
    /// The addresses that the hosts file has for a name.
    pub(super) fn in_hosts(&self, name: &Name) -> Vec<IpAddr> {
        let kinds = [RecordType::AAAA, RecordType::A].into_iter();
        let lookups = kinds.filter_map(|kind| {
            let query = Query::query(name.clone(), kind);
            self.hosts.lookup_static_host(&query)
        });
        lookups.flat_map(|lookup| dns::addresses(&lookup)).collect()
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

/// A file that is not there says nothing.
fn contents(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(path = %path.display(), %error, "it cannot be read");
        }
        Vec::new()
    })
}

fn hosts(path: &Path) -> Hosts {
    let mut hosts = Hosts::default();
    if let Err(error) = hosts.read_hosts_conf(&*contents(path)) {
        tracing::warn!(path = %path.display(), %error, "only a part of it is read");
    }
    hosts
}

fn server(address: SocketAddr) -> NameServerConfig {
    let to = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    };
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(to);
    NameServerConfig::new(address.ip(), true, connections.into())
}
