//! The thread that asks for names.

use std::{
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, Weak},
};

use telemetry::metrics::Metrics;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::LocalSet,
    time::{sleep_until, timeout},
};

use super::{Found, LOOKUP, Name, lookup, resolver::Resolver, system::System};

/// Starts the thread. It ends when nobody can ask any more. A name is in what it is asked only once at a time, so there
/// is never more in it than there are names.
pub(super) fn start(servers: Vec<SocketAddr>, metrics: Metrics) -> UnboundedSender<Weak<Name>> {
    let (asking, asked) = mpsc::unbounded_channel();
    metrics
        .lookups
        .declare(&[lookup::FOUND, lookup::NONE, lookup::FAILED]);
    let thread = std::thread::Builder::new()
        .name("names".to_owned())
        .spawn(move || run(asked, servers, metrics));
    if let Err(error) = thread {
        tracing::error!(%error, "names of backends cannot be looked up: there is no thread for that");
    }
    asking
}

fn run(mut asked: UnboundedReceiver<Weak<Name>>, servers: Vec<SocketAddr>, metrics: Metrics) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "names of backends cannot be looked up");
            return;
        }
    };
    let resolver = Rc::new(Resolver::new(System::new(servers)));
    LocalSet::new().block_on(&runtime, async move {
        while let Some(name) = asked.recv().await {
            let (resolver, metrics) = (Rc::clone(&resolver), metrics.clone());
            tokio::task::spawn_local(keep(name, resolver, metrics));
        }
    });
}

/// Asks for a name again and again, until nobody has used it meanwhile, or it is gone.
async fn keep(name: Weak<Name>, resolver: Rc<Resolver>, metrics: Metrics) {
    loop {
        let Some(host) = name.upgrade().map(|name| name.host.clone()) else {
            return;
        };
        let found = timeout(LOOKUP, resolver.find(&host)).await;
        let found = found.unwrap_or_else(|_| Found::Failed("no answer in time".to_owned()));
        metrics.lookups.inc(found.word());
        let Some(until) = name.upgrade().map(|name: Arc<Name>| name.learn(found)) else {
            return;
        };
        sleep_until(until).await;
        if name.upgrade().is_none_or(|name| name.rests()) {
            return;
        }
    }
}
