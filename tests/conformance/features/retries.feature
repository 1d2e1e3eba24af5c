Feature: Retries
  How often a block is tried again, and when no more.

  Scenario Outline: Limits
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: retries, version: '1.0.0' }
    do:
      - guarded:
          try: [ { fail: { raise: { error: { type: 'https://example.com/errors/cold', status: 503 } } } } ]
          catch: { retry: <retry>, do: [ { handle: { set: { gaveUp: true } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    gaveUp: true
    """
    And fail should run <times> times
    And handle should run last

    Examples:
      | why                     | times | retry                                                                                                                       |
      | two more                | 3     | { delay: { milliseconds: 1 }, limit: { attempt: { count: 2 } } }                                                            |
      | constant backoff        | 3     | { delay: { milliseconds: 1 }, backoff: { constant: {} }, limit: { attempt: { count: 2 } } }                                 |
      | linear backoff          | 3     | { delay: { milliseconds: 1 }, backoff: { linear: {} }, limit: { attempt: { count: 2 } } }                                   |
      | exponential backoff     | 3     | { delay: { milliseconds: 1 }, backoff: { exponential: {} }, limit: { attempt: { count: 2 } } }                              |
      | an ISO 8601 delay       | 2     | { delay: PT0.001S, limit: { attempt: { count: 1 } } }                                                                       |
      | jitter                  | 2     | { delay: { milliseconds: 1 }, jitter: { from: { milliseconds: 0 }, to: { milliseconds: 3 } }, limit: { attempt: { count: 1 } } } |
      | when it does not hold   | 1     | { when: '$error.status == 404', delay: { milliseconds: 1 }, limit: { attempt: { count: 2 } } }                              |
      | when it holds           | 3     | { when: '$error.status == 503', delay: { milliseconds: 1 }, limit: { attempt: { count: 2 } } }                              |
      | except when it holds    | 1     | { exceptWhen: '$error.status == 503', delay: { milliseconds: 1 }, limit: { attempt: { count: 2 } } }                        |
      | no time for another     | 1     | { delay: { seconds: 30 }, limit: { duration: { milliseconds: 10 } } }                                                       |

  Scenario: A retry that is defined once is used by its name
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: retries, version: '1.0.0' }
    use: { retries: { twice: { delay: { milliseconds: 1 }, limit: { attempt: { count: 2 } } } } }
    do:
      - guarded:
          try: [ { fail: { raise: { error: { type: 'https://example.com/errors/cold', status: 503 } } } } ]
          catch: { retry: twice }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://example.com/errors/cold', status: 503 }
    """
    And fail should run 3 times

  Scenario: A block starts from its beginning with the same input
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: retries, version: '1.0.0' }
    do:
      - count: { set: { n: 0 }, export: { as: '${ { tries: 0 } }' } }
      - guarded:
          try:
            - note: { set: { got: '${ .n }' }, export: { as: '${ { tries: ($context.tries + 1) } }' } }
            - judge: { switch: [ { enough: { when: '$context.tries == 3', then: exit } }, { more: { then: fail } } ] }
            - fail: { raise: { error: { type: 'https://example.com/errors/again', status: 500 } } }
          catch: { retry: { delay: { milliseconds: 1 }, limit: { attempt: { count: 5 } } } }
      - show: { set: { got: '${ .got }', tries: '${ $context.tries }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { got: 0, tries: 3 }
    """
    And note should run 3 times

  Scenario: A try that takes too long is a timeout, and is tried again
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: retries, version: '1.0.0' }
    do:
      - guarded:
          try: [ { slow: { wait: { minutes: 5 } } } ]
          catch:
            errors: { with: { status: 408 } }
            retry: { delay: { milliseconds: 1 }, limit: { attempt: { count: 1, duration: { milliseconds: 60 } } } }
            do: [ { handle: { set: { type: '${ $error.type }' } } } ]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    type: https://serverlessworkflow.io/spec/1.0.0/errors/timeout
    """
    And slow should run 2 times
