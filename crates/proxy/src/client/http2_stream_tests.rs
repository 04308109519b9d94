use std::{future::pending, rc::Rc, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{
    sync::mpsc,
    task::{LocalSet, spawn_local, yield_now},
};

use super::Stream;
use crate::{
    client::connection::ConnState,
    config::Config,
    net::rejection::Rejection,
    observe::{Observer, Telemetry},
    policy::auth::Verifier,
    serve::worker::{Start, Worker},
    snapshot::Snapshot,
};

fn stream() -> (Rc<Worker>, Rc<Stream>) {
    let start = Start {
        config: Arc::new(Config::default()),
        snapshot: Arc::new(ArcSwap::from_pointee(Snapshot::empty())),
        observer: Observer::new(&Telemetry::default()),
        verifier: Arc::new(Verifier::new()),
        sessions: Arc::default(),
        own: Arc::default(),
        orders: mpsc::unbounded_channel().1,
    };
    let worker = Rc::new(Worker::new(start).0);
    let state = Arc::new(ConnState::new(worker.clock.clone()));
    let stream = Stream::begin(&worker.streams, &state);
    (worker, stream)
}

fn pass(worker: &Worker, ticks: u32) {
    (0..ticks).for_each(|_| worker.clock.advance());
}

#[test]
fn a_stream_is_held_up_when_its_client_is_waited_for_and_nothing_passes() {
    let (worker, stream) = stream();
    pass(&worker, 100);
    assert!(!stream.is_held_up(4), "the backend may take its time");
    stream.gives(10);
    pass(&worker, 4);
    assert!(!stream.is_held_up(4));
    pass(&worker, 1);
    assert!(stream.is_held_up(4));
    stream.takes(1);
    assert!(!stream.is_held_up(4), "it moves");
    stream.takes(9);
    pass(&worker, 100);
    assert!(!stream.is_held_up(4), "all is taken");
    stream.awaits_body();
    stream.awaits_body();
    pass(&worker, 5);
    assert!(stream.is_held_up(4));
    stream.body_comes();
    pass(&worker, 5);
    assert!(!stream.is_held_up(4), "nobody waits");
    stream.awaits_body();
    stream.is_patient();
    pass(&worker, 5);
    assert!(!stream.is_held_up(4));
    stream.gives(1);
    pass(&worker, 5);
    assert!(stream.is_held_up(4), "but for what it has to take");
}

#[test]
fn what_was_taken_is_what_was_neither_held_nor_lost() {
    let (_worker, stream) = stream();
    assert!(stream.is_whole());
    // More than the windows are known to have room for.
    stream.gives(70_000);
    assert!(!stream.flows() && !stream.is_whole());
    stream.takes(60_000);
    assert_eq!(stream.taken(), 60_000);
    stream.loses(10_000);
    assert_eq!(stream.taken(), 60_000);
    assert!(!stream.is_whole());
}

#[tokio::test(flavor = "current_thread")]
async fn a_stream_ends_with_its_task_and_its_connection_where_that_has_gone() {
    let running = async {
        let (_worker, stream) = stream();
        let task = spawn_local(pending::<()>());
        stream.task.set(task.abort_handle()).unwrap();
        stream.end();
        assert!(stream.is_ended());
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(stream.state.ended(), None);
        stream.end();
        assert_eq!(stream.state.ended(), Some(Rejection::Stalled));
    };
    let over = async {
        let (_worker, stream) = stream();
        let task = spawn_local(async {});
        stream.task.set(task.abort_handle()).unwrap();
        while !task.is_finished() {
            yield_now().await;
        }
        stream.end();
        assert!(!stream.is_ended());
        assert_eq!(stream.state.ended(), Some(Rejection::Stalled));
    };
    LocalSet::new().run_until(running).await;
    LocalSet::new().run_until(over).await;
}
