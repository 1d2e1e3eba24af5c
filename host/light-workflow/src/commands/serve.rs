//! `serve`: the API and the worker, which meet only in the store.

use std::sync::Arc;

use api::{ApiState, Tokens};
use workflow::Timestamp;

use super::Context;
use crate::cli::{Role, Serve};
use crate::output::{DONE, Failure};
use crate::releases::ReleaseStarter;

pub async fn run(context: &Context, serve: Serve) -> Result<u8, Failure> {
    let host = Arc::new(context.host().await?);
    let working = match serve.role {
        Role::All | Role::Worker => Some(host.work().await?),
        Role::Api => None,
    };
    let server = match serve.role {
        Role::All | Role::Api => {
            let tokens = Tokens::open_or_create(&host.data)?;
            let listener = tokio::net::TcpListener::bind(serve.listen).await.map_err(|error| {
                Failure::from(anyhow::anyhow!(
                    "failed to listen on {}: {error}; name another with --listen",
                    serve.listen
                ))
            })?;
            eprintln!("listening on http://{}", listener.local_addr()?);
            eprintln!("bearer token in {}", Tokens::path(&host.data).display());
            let state = ApiState::new(
                host.shared_store(),
                Arc::new(ReleaseStarter(host.clone())),
                tokens,
                Arc::new(Timestamp::now),
            );
            Some(tokio::spawn(axum::serve(listener, api::router(state)).into_future()))
        }
        Role::Worker => None,
    };
    until_stopped(working.is_some()).await?;
    if let Some(server) = server {
        server.abort();
    }
    if let Some(working) = working {
        working.stop().await?;
    }
    Ok(DONE)
}

/// Returns at an interrupt or a termination signal.
async fn until_stopped(works: bool) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    if works {
        eprintln!("stopping; commands that run go on, and the next host takes them up");
    }
    Ok(())
}
