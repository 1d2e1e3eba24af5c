Feature: Functions and extensions
  Functions that a definition defines once, and tasks around tasks.

  Scenario: A function is called by its name, with its arguments as input
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: functions, version: '1.0.0' }
    use:
      functions:
        add: { set: { sum: '${ .a + .b }' } }
    do:
      - call: { call: add, with: { a: 1, b: '${ .two }' } }
    """
    And given the workflow input is:
    """yaml
    two: 2
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    sum: 3
    """

  Scenario: A function of several tasks
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: functions, version: '1.0.0' }
    use:
      functions:
        twice:
          do:
            - once: { set: { n: '${ .n * 2 }' } }
            - again: { set: { n: '${ .n * 2 }' } }
    do:
      - call: { call: twice, with: { n: 3 } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    n: 12
    """
    And once should run before again

  Scenario: The schema of a function's input is checked
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: functions, version: '1.0.0' }
    use:
      functions:
        typed: { input: { schema: { document: { type: object, required: [id] } } }, set: { id: '${ .id }' } }
    do:
      - call: { call: typed, with: { name: x } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/validation', status: 400 }
    """

  Scenario: A function that is not there is refused
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: functions, version: '1.0.0' }
    do:
      - call: { call: nobody }
    """
    When the workflow is executed
    Then the definition should be refused

  Scenario Outline: What runs around a task
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: extensions, version: '1.0.0' }
    use:
      extensions:
        - around: <extension>
    do:
      - task: { set: { a: 1 } }
      - rest: { wait: { milliseconds: 1 } }
    """
    When the workflow is executed
    Then the workflow should complete
    And <name> should run <times> times

    Examples:
      | why                    | name   | times | extension                                                                                            |
      | before                 | before | 1     | { extend: set, before: [ { before: { wait: { milliseconds: 1 } } } ] }                               |
      | after                  | after  | 1     | { extend: set, after: [ { after: { wait: { milliseconds: 1 } } } ] }                                 |
      | around every task      | before | 2     | { extend: all, before: [ { before: { set: '${ . }' } } ] }                                           |
      | of another kind        | task   | 1     | { extend: call, before: [ { before: { set: '${ . }' } } ] }                                          |
      | when it holds          | before | 1     | { extend: all, when: '$task.name == "task"', before: [ { before: { set: '${ . }' } } ] }             |

  Scenario: An extension can answer in a task's place
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: extensions, version: '1.0.0' }
    use:
      extensions:
        - mock: { extend: wait, before: [ { answer: { set: { mocked: true }, then: exit } } ] }
    do:
      - rest: { wait: { hours: 1 } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    mocked: true
    """
