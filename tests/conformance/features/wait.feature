Feature: Wait
  How long, in every form, and what passes through.

  Scenario Outline: A wait passes its input on
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: wait, version: '1.0.0' }
    do:
      - first: { set: { a: 1, pause: PT0.02S } }
      - rest: { wait: <wait> }
      - last: { set: { a: '${ .a }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    a: 1
    """
    And rest should run after first
    And rest should run before last
    And rest should complete

    Examples:
      | why                | wait                                                              |
      | milliseconds       | { milliseconds: 20 }                                              |
      | several parts      | { days: 0, hours: 0, minutes: 0, seconds: 0, milliseconds: 20 }   |
      | ISO 8601           | PT0.02S                                                           |
      | nothing            | { milliseconds: 0 }                                               |
      | an expression      | '${ .pause }'                                                     |

  Scenario: It waits at least as long as it says
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: wait, version: '1.0.0' }
    do:
      - before: { set: { at: '${ $task.startedAt.epoch.milliseconds }' } }
      - rest: { wait: { milliseconds: 150 } }
      - after: { set: { longEnough: '${ $task.startedAt.epoch.milliseconds - .at >= 150 }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    longEnough: true
    """
