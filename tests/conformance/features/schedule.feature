Feature: Schedules
  What starts workflows: time that passes, a calendar, the end of the one before, events.

  Scenario: Every, again and again
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: every, version: '1.0.0' }
    schedule: { every: { seconds: 1 } }
    do:
      - show: { set: { input: '${ $workflow.input }' } }
    """
    When the workflow is scheduled
    Then the workflow should run at least 2 times
    And every execution should complete with output:
    """yaml
    input: {}
    """

  Scenario: After the end of the one before
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: after, version: '1.0.0' }
    schedule: { after: { milliseconds: 100 } }
    do:
      - pause: { wait: { milliseconds: 400 } }
      - show: { set: { done: true } }
    """
    When the workflow is scheduled
    Then the workflow should run at least 3 times
    And no two executions should overlap
    And every execution should complete with output:
    """yaml
    done: true
    """

  Scenario: On one event that fits
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: pushed, version: '1.0.0' }
    schedule: { on: { one: { with: { type: com.example.pushed, data: '${ .branch == "main" }' } } } }
    do:
      - show: { set: { commits: '${ [ .[].data.commit ] }' } }
    """
    When the workflow is scheduled
    And the event is received:
    """yaml
    { specversion: '1.0', id: '1', source: /git, type: com.example.pushed, data: { branch: side, commit: a } }
    """
    And the event is received:
    """yaml
    { specversion: '1.0', id: '2', source: /git, type: com.example.pushed, data: { branch: main, commit: b } }
    """
    And the event is received:
    """yaml
    { specversion: '1.0', id: '2', source: /git, type: com.example.pushed, data: { branch: main, commit: b } }
    """
    Then the workflow should run 1 times
    And every execution should complete with output:
    """yaml
    commits: [b]
    """

  Scenario: On any of several
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: any, version: '1.0.0' }
    schedule: { on: { any: [ { with: { type: com.example.a } }, { with: { type: com.example.b } } ] } }
    do:
      - show: { set: { types: '${ [ .[].type ] }' } }
    """
    When the workflow is scheduled
    And the event is received:
    """yaml
    { specversion: '1.0', id: '1', source: /kit, type: com.example.b }
    """
    And the event is received:
    """yaml
    { specversion: '1.0', id: '2', source: /kit, type: com.example.c }
    """
    And the event is received:
    """yaml
    { specversion: '1.0', id: '3', source: /kit, type: com.example.a }
    """
    Then the workflow should run 2 times
    And execution 1 should complete with output:
    """yaml
    types: [com.example.b]
    """
    And execution 2 should complete with output:
    """yaml
    types: [com.example.a]
    """

  Scenario: On all of several that belong together
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: all, version: '1.0.0' }
    schedule:
      on:
        all:
          - with: { type: com.example.paid }
            correlate: { order: { from: .data.order } }
          - with: { type: com.example.packed }
            correlate: { order: { from: .data.order } }
    do:
      - show: { set: { orders: '${ [ .[].data.order ] }', types: '${ [ .[].type ] | sort }' } }
    """
    When the workflow is scheduled
    And the event is received:
    """yaml
    { specversion: '1.0', id: '1', source: /kit, type: com.example.paid, data: { order: 1 } }
    """
    And the event is received:
    """yaml
    { specversion: '1.0', id: '2', source: /kit, type: com.example.packed, data: { order: 2 } }
    """
    And the event is received:
    """yaml
    { specversion: '1.0', id: '3', source: /kit, type: com.example.paid, data: { order: 2 } }
    """
    Then the workflow should run 1 times
    And every execution should complete with output:
    """yaml
    { orders: [2, 2], types: [com.example.packed, com.example.paid] }
    """

  Scenario: A workflow that is scheduled can be executed, too
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: both, version: '1.0.0' }
    schedule: { every: { hours: 1 } }
    do:
      - show: { set: { n: '${ .n }' } }
    """
    And given the workflow input is:
    """yaml
    n: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    n: 1
    """

  Scenario Outline: What is no schedule is refused
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: wrong, version: '1.0.0' }
    schedule: <schedule>
    do:
      - show: { set: { n: 1 } }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention '<what>'

    Examples:
      | schedule                                   | what   |
      | { cron: '* * * *' }                        | cron   |
      | { cron: '61 * * * *' }                     | minute |
      | { cron: '0 0 30 2 *' }                     | never  |
      | { every: {} }                              | every  |
      | { after: soon }                            | after  |
      | { on: {} }                                 | on     |
      | { at: noon }                               | at     |
