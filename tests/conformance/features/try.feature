Feature: Try
  Which errors are caught, what the handler sees, and where the flow goes.

  Scenario Outline: Filters
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - guarded:
          try:
            - fail: { raise: { error: { type: 'https://example.com/errors/cold', status: 503, title: Cold, detail: very } } }
          catch: <catch>
      - after: { set: { reached: true } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    reached: true
    """
    And fail should fault
    And guarded should complete

    Examples:
      | why                     | catch                                                                                                        |
      | everything              | {}                                                                                                           |
      | the type                | { errors: { with: { type: 'https://example.com/errors/cold' } } }                                            |
      | the status              | { errors: { with: { status: 503 } } }                                                                        |
      | the title               | { errors: { with: { title: Cold } } }                                                                        |
      | the instance            | { errors: { with: { instance: /do/0/guarded/try/0/fail } } }                                                 |
      | all parts               | { errors: { with: { type: 'https://example.com/errors/cold', status: 503, title: Cold } } }                  |
      | when                    | { when: '$error.status == 503' }                                                                             |
      | when with braces        | { when: '${ $error.title == "Cold" }' }                                                                      |
      | exceptWhen that is not  | { exceptWhen: '$error.status == 404' }                                                                       |
      | filter and when         | { errors: { with: { status: 503 } }, when: '$error.detail == "very"' }                                       |

  Scenario Outline: What is not caught ends the workflow
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - guarded:
          try:
            - fail: { raise: { error: { type: 'https://example.com/errors/cold', status: 503, title: Cold } } }
          catch: <catch>
      - after: { set: { reached: true } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://example.com/errors/cold', status: 503, instance: /do/0/guarded/try/0/fail }
    """
    And guarded should fault
    And after should not run

    Examples:
      | why               | catch                                                                                        |
      | another type      | { errors: { with: { type: 'https://example.com/errors/hot' } } }                             |
      | another status    | { errors: { with: { status: 500 } } }                                                        |
      | one part differs  | { errors: { with: { type: 'https://example.com/errors/cold', status: 500 } } }               |
      | another instance  | { errors: { with: { instance: /do/0/fail } } }                                               |
      | when              | { when: '$error.status == 404' }                                                             |
      | exceptWhen        | { exceptWhen: '$error.status == 503' }                                                       |

  Scenario: Standard types are the same in every published spelling
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - guarded:
          try:
            - fail: { raise: { error: { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/communication', status: 500 } } }
          catch: { errors: { with: { type: 'https://serverlessworkflow.io/dsl/errors/types/communication' } } }
      - after: { set: { reached: true } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    reached: true
    """

  Scenario: The handler sees the error, by the name that is chosen
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - guarded:
          try:
            - fail: { raise: { error: { type: 'https://example.com/errors/cold', status: 503, title: Cold } } }
          catch:
            as: problem
            do:
              - handle: { set: { title: '${ $problem.title }', status: '${ $problem.status }', from: '${ $problem.instance }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { title: Cold, status: 503, from: /do/0/guarded/try/0/fail }
    """
    And handle should run last

  Scenario: Without an error the handler does not run
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - guarded:
          try: [ { fine: { set: { a: 1 } } } ]
          catch: { do: [ { handle: { set: { a: 2 } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    a: 1
    """
    And handle should not run

  Scenario: Then of a catch
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - guarded:
          try: [ { fail: { raise: { error: { type: 'https://example.com/errors/cold', status: 503 } } } } ]
          catch: { then: recover }
      - over: { set: { a: over } }
      - recover: { set: { a: recovered } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    a: recovered
    """
    And over should not run

  Scenario: An error in the handler goes to the try around it
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - outer:
          try:
            - inner:
                try: [ { fail: { raise: { error: { type: 'https://example.com/errors/a', status: 500 } } } } ]
                catch: { do: [ { worse: { raise: { error: { type: 'https://example.com/errors/b', status: 501 } } } } ] }
          catch: { do: [ { handle: { set: { type: '${ $error.type }', instance: '${ $error.instance }' } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { type: 'https://example.com/errors/b', instance: /do/0/outer/try/0/inner/catch/do/0/worse }
    """

  Scenario: The innermost try that fits catches
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - outer:
          try:
            - inner:
                try: [ { fail: { raise: { error: { type: 'https://example.com/errors/a', status: 500 } } } } ]
                catch: { errors: { with: { status: 404 } } }
          catch: { errors: { with: { status: 500 } }, do: [ { handle: { set: { by: outer } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    by: outer
    """
    And inner should fault
    And outer should complete

  Scenario: Errors of every task inside are caught
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - guarded:
          try:
            - group: { do: [ { loop: { for: { in: '[1]' }, do: [ { bad: { set: { a: '${ "a" + 1 }' } } } ] } } ] }
          catch: { errors: { with: { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/expression' } }, do: [ { handle: { set: { caught: true } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    caught: true
    """

  Scenario Outline: The detail of an error can be a filter
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - guarded:
          try: [ { fail: { raise: { error: { type: 'https://example.com/errors/x', status: 500, detail: too cold } } } } ]
          catch: { errors: { with: { details: <details> } } }
    """
    When the workflow is executed
    Then the workflow should <end>

    Examples:
      | details  | end      |
      | too cold | complete |
      | too hot  | fault    |
