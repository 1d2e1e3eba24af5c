Feature: Durations that are computed
  Wherever an instance waits, an expression may say how long: an ISO 8601 text.

  Scenario Outline: A retry policy of expressions
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: durations, version: '1.0.0' }
    do:
      - guarded:
          try: [ { fail: { raise: { error: { type: 'https://example.com/errors/cold', status: 503, detail: PT0.001S } } } } ]
          catch: { as: problem, retry: <retry>, do: [ { handle: { set: { gaveUp: true } } } ] }
    """
    And given the workflow input is:
    """yaml
    { short: PT0.001S, long: PT30S }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    gaveUp: true
    """
    And fail should run <times> times

    Examples:
      | why                        | times | retry                                                                                     |
      | the delay, of the input    | 3     | { delay: '${ $input.short }', limit: { attempt: { count: 2 } } }                          |
      | the delay, of the error    | 3     | { delay: '${ .detail }', limit: { attempt: { count: 2 } } }                               |
      | the delay, by its name     | 3     | { delay: '${ $problem.detail }', limit: { attempt: { count: 2 } } }                       |
      | jitter                     | 2     | { jitter: { from: PT0S, to: '${ $input.short }' }, limit: { attempt: { count: 1 } } }     |
      | no time for another        | 1     | { delay: '${ $input.long }', limit: { duration: '${ .short }' } }                         |
      | time for as many as wanted | 3     | { delay: '${ $input.short }', limit: { duration: '${ .long }', attempt: { count: 2 } } }  |

  Scenario: The limit of an attempt
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: durations, version: '1.0.0' }
    do:
      - guarded:
          try: [ { slow: { wait: PT1H } } ]
          catch: { retry: { limit: { attempt: { count: 1, duration: '${ .patience }' } } } }
    """
    And given the workflow input is:
    """yaml
    { patience: PT0.05S }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', status: 408 }
    """
    And slow should run 2 times

  Scenario: The whole workflow
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: durations, version: '1.0.0' }
    timeout: { after: '${ .patience }' }
    do:
      - slow: { wait: PT1H }
    """
    And given the workflow input is:
    """yaml
    { patience: PT0.05S }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', status: 408 }
    """

  Scenario Outline: What is no duration is an error of the expression
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: durations, version: '1.0.0' }
    <document>
    do:
      - guarded:
          try: [ { fail: { raise: { error: { type: 'https://example.com/errors/cold', status: 503 } } } } ]
          catch: { retry: <retry> }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/expression', status: 400 }
    """

    Examples:
      | why                  | document                               | retry                                                                     |
      | a number             | timeout: { after: '${ 5 }' }           | {}                                                                        |
      | nothing              | timeout: { after: '${ .nothing }' }    | {}                                                                        |
      | words                | timeout: { after: PT1H }               | { delay: '${ "soon" }' }                                                  |
      | a negative one       | timeout: { after: PT1H }               | { limit: { duration: '${ "-PT1S" }' } }                                   |
      | bounds that cross    | timeout: { after: PT1H }               | { jitter: { from: '${ "PT2S" }', to: PT1S }, limit: { attempt: { count: 1 } } } |
