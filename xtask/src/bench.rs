//! Benchmarks, and what they run on: a gateway with a large route table, a large fleet of Ingresses, policies.

pub(crate) mod fleet;
pub(crate) mod policies;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// How large, and where to.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Manifests {
    /// The folder to write to.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Routes in the table, beside the one that the benchmark meets.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) routes: usize,
    /// Where that one leads, as `host:port`.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:19001")]
    pub(crate) backend: String,
}

impl Manifests {
    /// Writes `gateway.yaml` and `routes.yaml`; with `cert.pem` and `key.pem` beside the folder, a listener for HTTPS
    /// too.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        let beside = |name: &str| self.folder.parent().map(|above| above.join(name));
        let pair = beside("cert.pem")
            .zip(beside("key.pem"))
            .filter(|(certificate, key)| certificate.is_file() && key.is_file());
        let pair = match pair {
            Some((certificate, key)) => {
                Some((fs::read_to_string(certificate)?, fs::read_to_string(key)?))
            }
            None => None,
        };
        self.file("gateway.yaml", &self.gateway(pair))?;
        self.file("routes.yaml", &self.table())
    }

    fn file(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path: &Path = &self.folder.join(name);
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn gateway(&self, pair: Option<(String, String)>) -> String {
        let mut text = format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: app\n  annotations:\n    postern.dev/endpoints: '{}'\n\
             spec:\n  ports:\n  - port: 80\n---\n\
             apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: bench\nspec:\n  \
             gatewayClassName: postern\n  listeners:\n  - name: http\n    port: 80\n    protocol: HTTP\n",
            self.backend
        );
        if let Some((certificate, key)) = pair {
            text.push_str(
                "  - name: https\n    port: 443\n    protocol: HTTPS\n    tls:\n      certificateRefs:\n      - name: pair\n",
            );
            let block = |pem: &str| {
                pem.lines().fold(String::new(), |mut block, line| {
                    let _ = writeln!(block, "    {line}");
                    block
                })
            };
            let _ = write!(
                text,
                "---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata:\n  name: pair\nstringData:\n  \
                 tls.crt: |\n{}  tls.key: |\n{}",
                block(&certificate),
                block(&key)
            );
        }
        text
    }

    /// Seven in ten routes match a prefix, two an exact path, one a path and a header; all are on the host that the
    /// benchmark asks for, so that none is ruled out before paths are looked at.
    fn table(&self) -> String {
        let matches = |at: usize| match at % 10 {
            0..=6 => format!("{{path: {{type: PathPrefix, value: /service-{at}/api}}}}"),
            7 | 8 => format!("{{path: {{type: Exact, value: /page/{at}}}}}"),
            _ => format!(
                "{{path: {{type: PathPrefix, value: /tenant-{at}}}, headers: [{{name: x-tenant, value: t{at}}}]}}"
            ),
        };
        let mut text = route("all", "{path: {type: PathPrefix, value: /}}");
        for at in 0..self.routes {
            text.push_str(&route(&format!("route-{at}"), &matches(at)));
        }
        text
    }
}

fn route(name: &str, matches: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: {name}\nspec:\n  \
         parentRefs:\n  - name: bench\n  rules:\n  - matches:\n    - {matches}\n    backendRefs:\n    - {{name: app, port: 80}}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::Manifests;

    #[test]
    fn the_table_has_every_route_and_parses() {
        let manifests = Manifests {
            folder: PathBuf::from("unused"),
            routes: 1_000,
            backend: "127.0.0.1:19001".to_owned(),
        };
        let table = api::yaml::read(&manifests.table());
        assert_eq!(table.errors, []);
        assert_eq!(table.objects.len(), 1_001);
        let pair = Some(("-----A-----\nB\n".to_owned(), "-----C-----\n".to_owned()));
        let gateway = api::yaml::read(&manifests.gateway(pair));
        assert_eq!((gateway.errors.len(), gateway.objects.len()), (0, 3));
    }
}
