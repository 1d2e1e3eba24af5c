//! `serve`: the API and the worker, which meet only in the store.

use std::sync::Arc;

use api::{ApiState, Tokens};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use workflow::Timestamp;

use super::Context;
use crate::cli::{Role, Serve};
use crate::host::Working;
use crate::output::{DONE, Failure, errln};
use crate::releases::ReleaseStarter;
use crate::schedules;
use crate::stopping::StopSignals;

pub async fn run(context: &Context, serve: Serve) -> Result<u8, Failure> {
    let host = Arc::new(context.host_with(&serve.calls).await?);
    let mut signals = StopSignals::listen()?;
    let mut working = match serve.role {
        Role::All | Role::Worker => Some(host.work().await?),
        Role::Api => None,
    };
    let (stop_schedules, schedules_stopped) = watch::channel(false);
    let schedules = match serve.role {
        Role::All | Role::Worker => Some(tokio::spawn(schedules::run(host.clone(), schedules_stopped))),
        Role::Api => None,
    };
    let mut server = match serve.role {
        Role::All | Role::Api => {
            let tokens = Tokens::open_or_create(&host.data)?;
            let listener = tokio::net::TcpListener::bind(serve.listen).await.map_err(|error| {
                Failure::from(anyhow::anyhow!(
                    "failed to listen on {}: {error}; name another with --listen",
                    serve.listen
                ))
            })?;
            errln!("listening on http://{}", listener.local_addr()?);
            errln!("bearer token in {}", Tokens::path(&host.data).display());
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
    tokio::select! {
        _ = signals.next() => {}
        ended = work_ended(&mut working) => return Err(ended),
        ended = server_ended(&mut server) => return Err(ended),
    }
    if working.is_some() {
        errln!("stopping; commands that run go on, and the next host takes them up");
    }
    if let Some(server) = server {
        server.abort();
    }
    stop_schedules.send_replace(true);
    if let Some(schedules) = schedules {
        schedules.await?;
    }
    if let Some(working) = working {
        working.stop().await?;
    }
    Ok(DONE)
}

/// A host whose worker ended by itself must not look alive.
async fn work_ended(working: &mut Option<Working>) -> Failure {
    match working {
        Some(working) => working.ended().await,
        None => std::future::pending().await,
    }
}

async fn server_ended(server: &mut Option<JoinHandle<std::io::Result<()>>>) -> Failure {
    match server {
        Some(server) => match server.await {
            Ok(Ok(())) => Failure::from(anyhow::anyhow!("the HTTP server stopped by itself")),
            Ok(Err(error)) => Failure::from(error),
            Err(panic) => Failure::from(panic),
        },
        None => std::future::pending().await,
    }
}
