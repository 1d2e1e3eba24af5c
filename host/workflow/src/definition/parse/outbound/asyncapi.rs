//! `call: asyncapi`.

use super::super::super::asyncapi::{
    AsyncApiOutbound, ConsumeOutbound, ExchangeOutbound, ServerOutbound, SubscriptionOutbound, TargetOutbound,
};
use super::super::super::outbound::Outbound;
use super::super::tasks::Context;
use super::super::{listen, values};
use super::{authentication, parameters, resource};
use crate::asyncapi::{MESSAGES_MAX, Protocol};
use crate::located::Field;

pub fn with(field: &Field, context: Context) -> Option<Outbound> {
    let [document, channel, operation, server, protocol, message, subscription, authentication] = field.fields([
        "document",
        "channel",
        "operation",
        "server",
        "protocol",
        "message",
        "subscription",
        "authentication",
    ])?;
    let document = document.required(|field| resource(field, context));
    let target = match (operation.given(), channel.given()) {
        (Some(operation), None) => values::text_template(&operation).map(TargetOutbound::Operation),
        (None, Some(channel)) => values::text_template(&channel).map(TargetOutbound::Channel),
        _ => one_of(field, "`operation` and `channel`", "`operation` is a name in a document of AsyncAPI 3"),
    };
    let exchange = match (message.given(), subscription.given()) {
        (Some(message), None) => self::message(&message),
        (None, Some(subscription)) => self::subscription(&subscription, context)
            .map(|subscription| ExchangeOutbound::Subscribe(Box::new(subscription))),
        _ => one_of(field, "`message` and `subscription`", "`message` publishes, `subscription` takes messages"),
    };
    let server = server.optional(self::server);
    let protocol = protocol.optional(self::protocol);
    let authentication = authentication.optional(|field| self::authentication(field, context));
    Some(Outbound::AsyncApi(AsyncApiOutbound {
        document: document?,
        target: target?,
        server: server?,
        protocol: protocol?,
        exchange: exchange?,
        authentication: authentication?,
    }))
}

fn one_of<T>(field: &Field, names: &str, help: &str) -> Option<T> {
    field.error(format!("`{}` must have one of {names}", field.label), Some(help));
    None
}

fn server(field: &Field) -> Option<ServerOutbound> {
    let [name, variables] = field.fields(["name", "variables"])?;
    let name = name.required(values::text_template);
    let variables = variables.optional(parameters);
    Some(ServerOutbound { name: name?, variables: variables? })
}

fn protocol(field: &Field) -> Option<Protocol> {
    let text = field.text()?;
    if Protocol::REFUSED.contains(&text) {
        return field.unsupported(&format!("`protocol: {text}`"));
    }
    field.choice(&Protocol::ALL.map(|protocol| (protocol.name(), protocol)))
}

fn message(field: &Field) -> Option<ExchangeOutbound> {
    let [payload, headers] = field.fields(["payload", "headers"])?;
    let payload = payload.optional(parameters);
    let headers = headers.optional(parameters);
    Some(ExchangeOutbound::Publish { payload: payload?, headers: headers? })
}

fn subscription(field: &Field, context: Context) -> Option<SubscriptionOutbound> {
    let [filter, consume, foreach] = field.fields(["filter", "consume", "foreach"])?;
    let filter = filter.optional(values::expression);
    let consume = consume.required(self::consume);
    let foreach = foreach.optional(|field| listen::foreach(field, context, "with/subscription/foreach/do"));
    let (consume, time) = consume?;
    Some(SubscriptionOutbound { filter: filter?, consume, time, foreach: foreach? })
}

fn consume(field: &Field) -> Option<(ConsumeOutbound, Option<std::time::Duration>)> {
    let [amount, time, while_, until] = field.fields(["amount", "for", "while", "until"])?;
    let time = time.optional(values::duration);
    let consume = match (amount.given(), while_.given(), until.given()) {
        (Some(amount), None, None) => amount.integer(1, MESSAGES_MAX as u64).map(ConsumeOutbound::Amount),
        (None, Some(while_), None) => values::expression(&while_).map(ConsumeOutbound::While),
        (None, None, Some(until)) => values::expression(&until).map(ConsumeOutbound::Until),
        _ => one_of(field, "`amount`, `while` and `until`", "say when it is enough; `for` may stand beside it"),
    };
    Some((consume?, time?))
}
