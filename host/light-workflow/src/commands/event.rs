//! `event`: what workflows listen for.

use store::{PublishError, Published};
use workflow::{CloudEvent, located};

use super::{Context, actor, read_input};
use crate::cli::{Event, EventSend};
use crate::output::{DONE, Failure, errln, outln};

pub async fn run(context: &Context, event: Event) -> Result<u8, Failure> {
    match event {
        Event::Send(send_) => send(context, send_).await,
    }
}

async fn send(context: &Context, send: EventSend) -> Result<u8, Failure> {
    let file = send.event.display().to_string();
    let text = read_input(&send.event, "the event")?;
    let value = located::json::value(&text, &file).map_err(Failure::wrong_input)?;
    let event = CloudEvent::new(value).map_err(|error| Failure::used_wrongly(format!("{file}: {error}")))?;
    let host = context.existing_host().await?;
    match host.shared_store().publish(event, actor(), host.now()).await {
        Ok(Published::New { sequence }) => outln!("{sequence}"),
        Ok(Published::Known { sequence }) => {
            errln!("this event was sent before");
            outln!("{sequence}");
        }
        Err(error @ PublishError::Differs { .. }) => return Err(Failure::used_wrongly(error)),
        Err(PublishError::Store(error)) => return Err(Failure::from(error)),
    }
    Ok(DONE)
}
