Feature: Call an operation of an AsyncAPI document
  Messages that a workflow publishes, and messages that it takes.

  Scenario Outline: A message is published with what the document describes
    Given the service answers 'GET /asyncapi.json' with:
    """yaml
    <document>
    """
    And the service answers 'POST /pets' with:
    """yaml
    { "taken": true }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: publish, version: '1.0.0' }
    do:
      - tell:
          call: asyncapi
          with: { document: { endpoint: 'http://service.test/asyncapi.json' }, <target>, message: { payload: { name: '${ .name }' } } }
    """
    And given the workflow input is:
    """yaml
    { name: Rex }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { taken: true }
    """

    Examples:
      | target | document |
      | operation: adopt | { "asyncapi": "3.0.0", "servers": { "s": { "host": "service.test", "protocol": "http" } }, "channels": { "p": { "address": "pets" } }, "operations": { "adopt": { "action": "send", "channel": { "$ref": "#/channels/p" } } } } |
      | channel: p | { "asyncapi": "3.0.0", "servers": { "s": { "host": "service.test", "protocol": "http" } }, "channels": { "p": { "address": "/pets" } } } |
      | channel: pets | { "asyncapi": "2.6.0", "servers": { "s": { "url": "http://service.test", "protocol": "http" } }, "channels": { "pets": { "publish": {} } } } |
      | operation: adopt | { "asyncapi": "2.6.0", "servers": { "s": { "url": "service.test", "protocol": "http" } }, "channels": { "/pets": { "publish": { "operationId": "adopt" } } } } |
      | operation: adopt, server: { name: b, variables: { host: service } } | { "asyncapi": "3.0.0", "servers": { "a": { "host": "other.test", "protocol": "http" }, "b": { "host": "{host}.test", "protocol": "http", "variables": { "host": {} } } }, "channels": { "p": { "address": "pets" } }, "operations": { "adopt": { "action": "send", "channel": { "$ref": "#/channels/p" } } } } |
      | operation: adopt, protocol: http | { "asyncapi": "3.0.0", "servers": { "a": { "host": "other.test", "protocol": "kafka" }, "b": { "host": "service.test", "protocol": "http" } }, "channels": { "p": { "address": "pets" } }, "operations": { "adopt": { "action": "send", "channel": { "$ref": "#/channels/p" } } } } |

  Scenario: A message that the document does not describe is not published
    Given the service answers 'GET /asyncapi.json' with:
    """yaml
    { "asyncapi": "3.0.0", "servers": { "s": { "host": "service.test", "protocol": "http" } },
      "channels": { "p": { "address": "pets", "messages": { "pet": { "payload": { "$ref": "#/components/schemas/pet" } } } } },
      "components": { "schemas": { "pet": { "type": "object", "required": ["name"] } } } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: publish, version: '1.0.0' }
    do:
      - tell:
          call: asyncapi
          with:
            document: { endpoint: 'http://service.test/asyncapi.json' }
            channel: p
            message: { payload: { kind: dog } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://serverlessworkflow.io/spec/1.0.0/errors/validation
    status: 400
    """

  Scenario: A server whose protocol is not spoken is a configuration error
    Given the service answers 'GET /asyncapi.json' with:
    """yaml
    { "asyncapi": "3.0.0", "servers": { "s": { "host": "service.test", "protocol": "jms" } }, "channels": { "p": { "address": "pets" } } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: publish, version: '1.0.0' }
    do:
      - tell:
          call: asyncapi
          with: { document: { endpoint: 'http://service.test/asyncapi.json' }, channel: p, message: {} }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://serverlessworkflow.io/spec/1.0.0/errors/configuration
    status: 400
    """

  Scenario Outline: Messages are taken until it is enough
    Given a broker of MQTT at 'broker.test:1883'
    And the service answers 'GET /asyncapi.json' with:
    """yaml
    { "asyncapi": "3.0.0", "defaultContentType": "application/json",
      "servers": { "s": { "host": "broker.test", "protocol": "mqtt" } },
      "channels": { "p": { "address": "pets", "messages": { "pet": { "correlationId": { "location": "$message.payload#/n" } } } } } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: messages, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - take:
                  call: asyncapi
                  with:
                    document: { endpoint: 'http://service.test/asyncapi.json' }
                    channel: p
                    subscription: <subscription>
              - tell:
                  do:
                    - breathe: { wait: { seconds: 3 } }
                    - each:
                        for: { each: n, in: '[1, 2, 3, 4]' }
                        do:
                          - publish:
                              call: asyncapi
                              with:
                                document: { endpoint: 'http://service.test/asyncapi.json' }
                                channel: p
                                message: { payload: { n: '${ $n }' } }
          output: { as: '.[0]' }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    <output>
    """

    Examples:
      | subscription | output |
      | { consume: { amount: 2 } } | [{ payload: { n: 1 }, correlationId: '1' }, { payload: { n: 2 }, correlationId: '2' }] |
      | { filter: '${ .payload.n > 2 }', consume: { amount: 1 } } | [{ payload: { n: 3 }, correlationId: '3' }] |
      | { filter: '${ .correlationId == "4" }', consume: { amount: 1 } } | [{ payload: { n: 4 }, correlationId: '4' }] |
      | { consume: { until: '${ ($context.consumedMessages \| length) == 1 }' } } | [{ payload: { n: 1 }, correlationId: '1' }] |
      | { consume: { while: '${ true }', for: { seconds: 7 } }, foreach: { output: { as: .payload.n } } } | [1, 2, 3, 4] |
      | { consume: { amount: 2 }, foreach: { item: pet, at: place, do: [{ look: { set: { all: '${ [$pet.payload.n, $place] }' } } }], output: { as: .all } } } | [[1, 0], [2, 1]] |

  Scenario: No messages in time are an empty list
    Given a broker of MQTT at 'broker.test:1883'
    And the service answers 'GET /asyncapi.json' with:
    """yaml
    { "asyncapi": "2.6.0", "servers": { "s": { "url": "broker.test", "protocol": "mqtt" } }, "channels": { "pets": { "subscribe": {} } } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: messages, version: '1.0.0' }
    do:
      - take:
          call: asyncapi
          with:
            document: { endpoint: 'http://service.test/asyncapi.json' }
            channel: pets
            subscription: { consume: { amount: 1, for: { milliseconds: 500 } } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    []
    """

  Scenario Outline: What cannot be meant is refused
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: wrong, version: '1.0.0' }
    do:
      - take: { call: asyncapi, with: { document: { endpoint: 'http://service.test/a.json' }, <with> } }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention '<mention>'

    Examples:
      | with | mention |
      | operation: a | subscription |
      | message: {} | operation |
      | operation: a, message: {}, protocol: kafka | kafka |
      | operation: a, subscription: {} | consume |
      | operation: a, subscription: { consume: { amount: 1, while: 'true' } } | amount |

  Scenario: A message has headers, and its sender a credential
    Given the service answers 'GET /asyncapi.json' with:
    """yaml
    { "asyncapi": "3.0.0", "servers": { "s": { "host": "service.test", "protocol": "http" } }, "channels": { "p": { "address": "pets" } } }
    """
    And the service answers 'POST /pets' with:
    """yaml
    { "taken": true }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: publish, version: '1.0.0' }
    do:
      - tell:
          call: asyncapi
          with:
            document: { endpoint: 'http://service.test/asyncapi.json' }
            channel: p
            message: { headers: { x-trace: '${ .trace }' }, payload: { name: Rex } }
            authentication: { bearer: { token: abc } }
    """
    And given the workflow input is:
    """yaml
    trace: t-1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { taken: true }
    """
