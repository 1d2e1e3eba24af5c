//! `call: a2a`.

use super::super::super::outbound::{A2aOutbound, AgentSource, Outbound};
use super::super::tasks::Context;
use super::{endpoint, parameters, resource};
use crate::located::Field;

const METHODS: [&str; 11] = [
    "message/send",
    "message/stream",
    "tasks/get",
    "tasks/list",
    "tasks/cancel",
    "tasks/resubscribe",
    "tasks/pushNotificationConfig/set",
    "tasks/pushNotificationConfig/get",
    "tasks/pushNotificationConfig/list",
    "tasks/pushNotificationConfig/delete",
    "agent/getAuthenticatedExtendedCard",
];

pub fn with(field: &Field, context: Context) -> Option<Outbound> {
    let [method, card, server, parameters] = field.fields(["method", "agentCard", "server", "parameters"])?;
    let method = method.required(|field| field.choice(&METHODS.map(|method| (method, method))));
    let card = card.optional(|field| resource(field, context).map(AgentSource::Card));
    let server = server.optional(|field| endpoint(field, context).map(AgentSource::Server));
    let parameters = parameters.optional(self::parameters);
    let agent = match (card?, server?) {
        (Some(agent), None) | (None, Some(agent)) => agent,
        (Some(_), Some(_)) | (None, None) => {
            field.error(
                "`call: a2a` needs either `agentCard` or `server`",
                Some("keep the one that says where the agent is"),
            );
            return None;
        }
    };
    Some(Outbound::A2a(A2aOutbound { method: method?, agent, parameters: parameters? }))
}
