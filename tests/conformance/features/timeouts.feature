Feature: Timeouts
  Of tasks, of groups, of the workflow; inline and by name.

  Scenario Outline: What takes too long is a timeout error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: timeouts, version: '1.0.0' }
    use: { timeouts: { short: { after: { milliseconds: 30 } } } }
    do:
      - slow: <slow>
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', status: 408, instance: /do/0/slow }
    """
    And slow should fault

    Examples:
      | why               | slow                                                                                                  |
      | of a task         | { wait: { minutes: 5 }, timeout: { after: { milliseconds: 30 } } }                                    |
      | in ISO 8601       | { wait: { minutes: 5 }, timeout: { after: PT0.03S } }                                                 |
      | by its name       | { wait: { minutes: 5 }, timeout: short }                                                              |
      | computed          | { wait: { minutes: 5 }, timeout: { after: '${ .limit // "PT0.03S" }' } }                              |
      | of a group        | { do: [ { rest: { wait: { minutes: 5 } } } ], timeout: short }                                        |
      | of a loop         | { for: { in: '[1, 2]' }, do: [ { rest: { wait: { minutes: 5 } } } ], timeout: short }                 |
      | of a try          | { try: [ { rest: { wait: { minutes: 5 } } } ], catch: {}, timeout: short }                            |

  Scenario: The workflow's own timeout
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: timeouts, version: '1.0.0' }
    timeout: { after: { milliseconds: 30 } }
    do:
      - slow: { wait: { minutes: 5 } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', status: 408 }
    """

  Scenario: A timeout inside a try is caught
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: timeouts, version: '1.0.0' }
    do:
      - guarded:
          try: [ { slow: { wait: { minutes: 5 }, timeout: { after: { milliseconds: 30 } } } } ]
          catch: { errors: { with: { status: 408 } }, do: [ { handle: { set: { late: true } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    late: true
    """

  Scenario: What is fast enough does not time out
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: timeouts, version: '1.0.0' }
    timeout: { after: { minutes: 5 } }
    do:
      - quick: { set: { a: 1 }, timeout: { after: { minutes: 1 } } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    a: 1
    """

  Scenario: A computed timeout that is no duration is an expression error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: timeouts, version: '1.0.0' }
    do:
      - slow: { wait: { minutes: 5 }, timeout: { after: '${ .limit }' } }
    """
    And given the workflow input is:
    """yaml
    { limit: soon }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/expression', status: 400, instance: /do/0/slow }
    """
