//! Where an endpoint is: at an address, or at those that its name stands for.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use ir::{Endpoint, Transport};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{Context, permit};
use crate::{
    http::error::ProxyError,
    net::socket::Socket,
    upstream::{
        balance::Picked,
        names::{Answer, Name},
    },
};

/// So long after one address of a name the next one is tried, while the first has not answered (RFC 8305 section 5).
const NEXT: Duration = Duration::from_millis(250);

/// Where an endpoint is.
#[derive(Clone)]
pub(crate) enum Place {
    /// There.
    Address(SocketAddr),
    /// At one of the addresses of a name.
    Named(Named),
}

/// The addresses of a name, and whose turn it is.
#[derive(Clone)]
pub(crate) struct Named {
    name: Arc<Name>,
    answer: Arc<Answer>,
    port: u16,
    turn: usize,
}

impl Place {
    /// Where an endpoint is. Waits only for a name of which nothing is known.
    ///
    /// # Errors
    /// The name has no address, or none was known within `limit`.
    pub(crate) async fn of(
        endpoint: &Endpoint,
        name: Option<&Arc<Name>>,
        limit: Duration,
    ) -> Result<Self, ProxyError> {
        match (endpoint, name) {
            (Endpoint::Address(address), _) => Ok(Self::Address(*address)),
            (Endpoint::Name { port, .. }, Some(name)) => {
                let answer = Box::pin(name.addresses(limit)).await?;
                let turn = name.turn();
                Ok(Self::Named(Named::new(name, answer, (*port, turn))))
            }
            (Endpoint::Name { .. }, None) => Err(ProxyError::ConnectFailed),
        }
    }

    /// Where an endpoint with a name was last known to be, without waiting.
    pub(super) fn known(picked: &Picked<'_>) -> Option<Named> {
        let (Endpoint::Name { port, .. }, Some(name)) = (picked.endpoint, picked.name) else {
            return None;
        };
        Some(Named::new(name, name.known()?, (*port, name.idle_turn())))
    }

    /// With the address that is tried first.
    pub(super) fn split(self) -> Result<(SocketAddr, Self), ProxyError> {
        let first = self.first().ok_or(ProxyError::ConnectFailed)?;
        Ok((first, self))
    }

    /// The addresses to try, in order.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Self::Address(address) => vec![*address],
            Self::Named(named) => named.in_order(),
        }
    }

    /// The address that is tried first.
    pub(crate) fn first(&self) -> Option<SocketAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Named(named) => named.in_order().first().copied(),
        }
    }

    /// Opens a TCP connection, to whichever address of a name is quickest, and says to which.
    ///
    /// # Errors
    /// No address may be dialled, or none answers within `limit`.
    pub(crate) async fn dial(
        &self,
        context: &Context,
        limit: Duration,
    ) -> Result<(Socket, SocketAddr), ProxyError> {
        let mut refused = ProxyError::ConnectFailed;
        let mut addresses = self.addresses();
        addresses.retain(
            |address| match permit::check(context, Transport::Tcp, *address) {
                Ok(()) => true,
                Err(error) => {
                    refused = error;
                    false
                }
            },
        );
        if addresses.is_empty() {
            return Err(refused);
        }
        let (stream, address) = timeout(limit, race(&addresses))
            .await
            .map_err(|_| ProxyError::ConnectTimeout)?
            .ok_or(ProxyError::ConnectFailed)?;
        if let Self::Named(named) = self {
            named.name.reached(address.ip(), &named.answer);
        }
        Ok((Socket::opened(stream), address))
    }
}

impl Named {
    fn new(name: &Arc<Name>, answer: Arc<Answer>, (port, turn): (u16, usize)) -> Self {
        Self {
            turn,
            name: Arc::clone(name),
            answer,
            port,
        }
    }

    /// All addresses, beginning with another one each turn.
    pub(super) fn by_turns(&self) -> impl Iterator<Item = SocketAddr> {
        let address = |ip: IpAddr| SocketAddr::new(ip, self.port);
        self.answer.from(self.turn).map(address)
    }

    fn in_order(&self) -> Vec<SocketAddr> {
        let order = self.answer.in_order(self.turn, self.name.prefers_v4());
        let address = |ip: IpAddr| SocketAddr::new(ip, self.port);
        order.into_iter().map(address).collect()
    }
}

/// Connects to one address after another, the next one when the one before has failed or has kept us waiting, and takes
/// the first that answers.
async fn race(addresses: &[SocketAddr]) -> Option<(TcpStream, SocketAddr)> {
    let connect = |address: SocketAddr| async move {
        let stream = TcpStream::connect(address).await;
        stream.map(|stream| (stream, address))
    };
    let mut left = addresses.iter().copied();
    let mut running = FuturesUnordered::new();
    loop {
        match left.next() {
            Some(address) => running.push(connect(address)),
            None if running.is_empty() => return None,
            None => {}
        }
        tokio::select! {
            Some(ended) = running.next() => if let Ok(connected) = ended {
                return Some(connected);
            },
            () = sleep(NEXT), if left.len() > 0 => {}
        }
    }
}
