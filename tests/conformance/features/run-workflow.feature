Feature: Run another workflow
  What a child gets, what its parent gets back, and how errors pass.

  Scenario: The output of the child is the output of the task
    Given the runtime knows the workflow:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: double, version: '1.0.0' }
    do:
      - compute: { set: { n: '${ .n * 2 }' } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: parent, version: '1.0.0' }
    do:
      - call: { run: { workflow: { namespace: kit, name: double, version: '1.0.0', input: { n: '${ .x }' } } } }
      - show: { set: { result: '${ .n }' } }
    """
    And given the workflow input is:
    """yaml
    x: 21
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    result: 42
    """
    And call should complete

  Scenario: Without an input of its own the child gets an empty one or the task's input
    Given the runtime knows the workflow:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: fixed, version: '1.0.0' }
    do:
      - compute: { set: { done: true } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: parent, version: '1.0.0' }
    do:
      - call: { run: { workflow: { namespace: kit, name: fixed, version: '1.0.0' } } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    done: true
    """

  Scenario: The error of a child is the error of the task, and can be caught
    Given the runtime knows the workflow:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: failing, version: '1.0.0' }
    do:
      - fail: { raise: { error: { type: 'https://example.com/errors/child', status: 507, title: Child } } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: parent, version: '1.0.0' }
    do:
      - guarded:
          try: [ { call: { run: { workflow: { namespace: kit, name: failing, version: '1.0.0' } } } } ]
          catch: { errors: { with: { type: 'https://example.com/errors/child' } }, do: [ { handle: { set: { status: '${ $error.status }' } } } ] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 507
    """
    And call should fault

  Scenario: A child in every iteration
    Given the runtime knows the workflow:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: square, version: '1.0.0' }
    do:
      - compute: { set: { n: '${ .n * .n }' } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: parent, version: '1.0.0' }
    do:
      - loop:
          for: { each: n, in: '[1, 2, 3]' }
          do:
            - call: { run: { workflow: { namespace: kit, name: square, version: '1.0.0', input: { n: '${ $n }' } } }, export: { as: '${ { sum: (($context.sum // 0) + .n) } }' } }
      - show: { set: { sum: '${ $context.sum }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    sum: 14
    """
    And call should run 3 times

  Scenario: Children in the branches of a fork
    Given the runtime knows the workflow:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: echo, version: '1.0.0' }
    do:
      - same: { set: '${ . }' }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: parent, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - one: { run: { workflow: { namespace: kit, name: echo, version: '1.0.0', input: { n: 1 } } } }
              - two: { run: { workflow: { namespace: kit, name: echo, version: '1.0.0', input: { n: 2 } } } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - n: 1
    - n: 2
    """

  Scenario: A child that nobody waits for
    Given the runtime knows the workflow:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: slow, version: '1.0.0' }
    do:
      - rest: { wait: { milliseconds: 50 } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: parent, version: '1.0.0' }
    do:
      - first: { set: { a: 1 } }
      - call: { run: { workflow: { namespace: kit, name: slow, version: '1.0.0' }, await: false } }
      - show: { set: { went: on } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    went: on
    """

  Scenario Outline: A child that is not known is refused
    Given the runtime knows the workflow:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: known, version: '1.0.0' }
    do:
      - same: { set: { a: 1 } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: parent, version: '1.0.0' }
    do:
      - call: { run: { workflow: { namespace: kit, name: <name>, version: '<version>' } } }
    """
    When the workflow is executed
    Then the definition should be refused

    Examples:
      | name    | version |
      | unknown | 1.0.0   |
      | known   | 2.0.0   |
