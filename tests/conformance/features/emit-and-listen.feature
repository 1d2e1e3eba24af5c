Feature: Emit and listen
  Events as they are made, and as they reach listeners of the same runtime.

  Scenario Outline: Attributes of an emitted event
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: emit, version: '1.0.0' }
    do:
      - send: { emit: { event: { with: <with> } } }
    """
    And given the workflow input is:
    """yaml
    n: 7
    """
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have properties 'id', 'specversion', 'time', 'source', 'type'
    And the workflow output should have a '<attribute>' property with value:
    """yaml
    <value>
    """

    Examples:
      | why                    | attribute       | value                | with                                                                                        |
      | its type               | type            | com.example.done     | { source: 'https://example.com', type: com.example.done }                                   |
      | its source             | source          | https://example.com  | { source: 'https://example.com', type: com.example.done }                                   |
      | its id, if it has one  | id              | my-id                | { source: 'https://example.com', type: com.example.done, id: my-id }                        |
      | its subject            | subject         | order                | { source: 'https://example.com', type: com.example.done, subject: order }                   |
      | its data               | data            | { n: 8 }             | { source: 'https://example.com', type: com.example.done, data: { n: '${ .n + 1 }' } }       |
      | an extension           | ticket          | 7                    | { source: 'https://example.com', type: com.example.done, ticket: '${ .n }' }                |
      | the version            | specversion     | '1.0'                | { source: 'https://example.com', type: com.example.done }                                   |

  Scenario Outline: What a listener gets of an event
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: listen, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - hear: { listen: { to: <to><read> } }
              - speak:
                  do:
                    - pause: { wait: { milliseconds: 50 } }
                    - one: { emit: { event: { with: { source: 'https://example.com', type: com.example.a, subject: s, data: { n: 1 } } } } }
                    - two: { emit: { event: { with: { source: 'https://example.com', type: com.example.b, data: { n: 2 } } } } }
      - show: { set: { heard: '${ .[0]<path> }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    heard: <heard>
    """

    Examples:
      | why                              | to                                                                                         | read               | path             | heard              |
      | one, its data                    | { one: { with: { type: com.example.a } } }                                                 |                    |                  | [{ n: 1 }]         |
      | the data when it is asked for    | { one: { with: { type: com.example.b } } }                                                 | , read: data       |                  | [{ n: 2 }]         |
      | the envelope                     | { one: { with: { type: com.example.a } } }                                                 | , read: envelope   | \| map(.subject) | [s]                |
      | by its data                      | { one: { with: { data: '${ .n == 2 }' } } }                                                |                    |                  | [{ n: 2 }]         |
      | by its source and type           | { one: { with: { source: 'https://example.com', type: com.example.b } } }                  |                    |                  | [{ n: 2 }]         |
      | by its subject                   | { one: { with: { subject: s } } }                                                          |                    |                  | [{ n: 1 }]         |
      | any of two                       | { any: [ { with: { type: com.example.x } }, { with: { type: com.example.b } } ] }          |                    |                  | [{ n: 2 }]         |
      | all of two, in any order         | { all: [ { with: { type: com.example.b } }, { with: { type: com.example.a } } ] }          |                    | \| map(.n) \| sort | [1, 2]           |
      | any until an expression holds    | { any: [ { with: { source: 'https://example.com' } } ], until: '. \| length == 2' }        |                    | \| map(.n)       | [1, 2]             |
      | any until an event               | { any: [ { with: { type: com.example.a } } ], until: { one: { with: { type: com.example.b } } } } |             | \| map(.n)       | [1]                |

  Scenario: Each event is worked on as it comes
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: listen, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - hear:
                  listen: { to: { any: [ { with: { source: 'https://example.com' } } ], until: '. | length == 2' } }
                  foreach:
                    item: event
                    at: place
                    do: [ { work: { set: { seen: '${ "\($place):\($event.n)" }' } } } ]
                    output: { as: .seen }
              - speak:
                  do:
                    - pause: { wait: { milliseconds: 50 } }
                    - one: { emit: { event: { with: { source: 'https://example.com', type: com.example.a, data: { n: 5 } } } } }
                    - two: { emit: { event: { with: { source: 'https://example.com', type: com.example.a, data: { n: 6 } } } } }
      - show: { set: { seen: '${ .[0] }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    seen: ['0:5', '1:6']
    """
    And work should run 2 times

  Scenario: A listener that hears nothing can time out
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: listen, version: '1.0.0' }
    do:
      - guarded:
          try: [ { hear: { listen: { to: { one: { with: { type: com.example.never } } } }, timeout: { after: { milliseconds: 40 } } } } ]
          catch: { errors: { with: { status: 408 } }, do: [ { handle: { set: { heard: nothing } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    heard: nothing
    """

  Scenario: Every attribute of an event can be given, and be asked for
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: listen, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - hear:
                  listen:
                    to:
                      one:
                        with:
                          id: '1'
                          source: https://example.com
                          type: com.example.a
                          subject: s
                          time: '2026-03-01T12:00:00Z'
                          datacontenttype: application/json
                          dataschema: https://example.com/schema
                          data: { n: 1 }
                    read: envelope
              - speak:
                  do:
                    - pause: { wait: { milliseconds: 50 } }
                    - near: { emit: { event: { with: { id: '0', source: 'https://example.com', type: com.example.a, subject: s, data: { n: 1 } } } } }
                    - send:
                        emit:
                          event:
                            with:
                              id: '1'
                              source: https://example.com
                              type: com.example.a
                              subject: s
                              time: '2026-03-01T12:00:00Z'
                              datacontenttype: application/json
                              dataschema: https://example.com/schema
                              data: { n: 1 }
      - show: { set: { heard: '${ .[0][0] | [ .id, .time, .datacontenttype, .dataschema ] }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    heard: ['1', '2026-03-01T12:00:00Z', application/json, 'https://example.com/schema']
    """

  Scenario Outline: Events belong together by what they carry
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: listen, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - hear: { listen: { to: { all: [ { with: { type: a }, correlate: { order: { <correlate> } } }, { with: { type: b }, correlate: { order: { <correlate> } } } ] } } }
              - speak:
                  do:
                    - pause: { wait: { milliseconds: 50 } }
                    - one: { emit: { event: { with: { source: 'https://example.com', type: a, data: { order: 1, n: 1 } } } } }
                    - two: { emit: { event: { with: { source: 'https://example.com', type: b, data: { order: 2, n: 2 } } } } }
                    - three: { emit: { event: { with: { source: 'https://example.com', type: a, data: { order: 2, n: 3 } } } } }
                    - four: { emit: { event: { with: { source: 'https://example.com', type: b, data: { order: 1, n: 4 } } } } }
      - show: { set: { heard: '${ .[0] | map(.n) }' } }
    """
    And given the workflow input is:
    """yaml
    wanted: 2
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    heard: <heard>
    """

    Examples:
      | why                  | correlate                                          | heard  |
      | by the first of them | from: .data.order                                  | [1, 4] |
      | by what is expected  | from: .data.order, expect: '${ $input.wanted }'    | [2, 3] |

  Scenario: Each event can leave something in the context
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: listen, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - hear:
                  listen: { to: { any: [ { with: { type: a } } ], until: '. | length == 2' } }
                  foreach:
                    do: [ { work: { set: { seen: '${ $item.n + $index }' } } } ]
                    output: { as: .seen }
                    export: { as: '${ { all: (($context.all // []) + [.]) } }' }
              - speak:
                  do:
                    - pause: { wait: { milliseconds: 50 } }
                    - one: { emit: { event: { with: { source: 'https://example.com', type: a, data: { n: 5 } } } } }
                    - two: { emit: { event: { with: { source: 'https://example.com', type: a, data: { n: 6 } } } } }
      - show: { set: { seen: '${ $context.all }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    seen: [5, 7]
    """
