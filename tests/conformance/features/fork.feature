Feature: Fork
  Branches side by side: their outputs, their errors, and who wins.

  Scenario: Outputs come in the order the branches are declared
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: fork, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - slow: { do: [ { rest: { wait: { milliseconds: 60 } } }, { a: { set: { name: slow } } } ] }
              - fast: { set: { name: fast } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - name: slow
    - name: fast
    """
    And fast should run before a

  Scenario: Every branch gets the fork's transformed input
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: fork, version: '1.0.0' }
    do:
      - both:
          input: { from: .a }
          fork:
            branches:
              - one: { set: { n: '${ .b }' } }
              - two: { set: { n: '${ .b + 1 }' } }
    """
    And given the workflow input is:
    """yaml
    a: { b: 1 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - n: 1
    - n: 2
    """

  Scenario: The first to end wins a competition, and the others are cancelled
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: fork, version: '1.0.0' }
    do:
      - race:
          fork:
            compete: true
            branches:
              - slow: { do: [ { rest: { wait: { minutes: 5 } } }, { never: { set: { name: slow } } } ] }
              - fast: { do: [ { nap: { wait: { milliseconds: 20 } } }, { win: { set: { name: fast } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    name: fast
    """
    And rest should cancel
    And slow should cancel
    And fast should complete
    And never should not run

  Scenario: One branch alone gives a list of one
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: fork, version: '1.0.0' }
    do:
      - only: { fork: { branches: [ { one: { set: { a: 1 } } } ] } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - a: 1
    """

  Scenario: An error in a branch ends the fork and cancels the others
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: fork, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - slow: { wait: { minutes: 5 } }
              - bad: { raise: { error: { type: 'https://example.com/errors/x', status: 500 } } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://example.com/errors/x', status: 500, instance: /do/0/both/fork/branches/1/bad }
    """
    And both should fault
    And slow should cancel

  Scenario: A try inside a branch keeps its error there
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: fork, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - good: { set: { a: 1 } }
              - bad:
                  try: [ { fail: { raise: { error: { type: 'https://example.com/errors/x', status: 500 } } } } ]
                  catch: { do: [ { handle: { set: { caught: '${ $error.status }' } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - a: 1
    - caught: 500
    """

  Scenario: The output of a fork is transformed like any other
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: fork, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - one: { set: { n: 1 } }
              - two: { set: { n: 2 } }
          output: { as: '[.[].n] | add' }
          export: { as: '${ { sum: . } }' }
      - show: { set: { sum: '${ $context.sum }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    sum: 3
    """

  Scenario: Forks inside forks
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: fork, version: '1.0.0' }
    do:
      - outer:
          fork:
            branches:
              - inner: { fork: { branches: [ { a: { set: { n: 1 } } }, { b: { set: { n: 2 } } } ] } }
              - c: { set: { n: 3 } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - - n: 1
      - n: 2
    - n: 3
    """

  Scenario: A timeout of the fork ends all branches
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: fork, version: '1.0.0' }
    do:
      - both:
          timeout: { after: { milliseconds: 40 } }
          fork:
            branches:
              - one: { wait: { minutes: 5 } }
              - two: { wait: { minutes: 5 } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', status: 408, instance: /do/0/both }
    """
    And one should cancel
    And two should cancel
