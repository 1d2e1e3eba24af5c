@own
Feature: Commands and scripts
  They run in a sandbox, which `metadata.lightWorkflow` names; the rest is the DSL.

  Scenario: A script gives what it prints
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - hi: { run: { script: { language: sh, code: 'printf hello' }, return: stdout } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    hello
    """

  Scenario: Or what it complains of
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - hi: { run: { script: { language: sh, code: 'printf oops >&2' }, return: stderr } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    oops
    """

  Scenario: Or how it ended
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - hi: { run: { script: { language: sh, code: 'exit 3' }, return: code } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    3
    """

  Scenario: Or all of it
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - hi: { run: { script: { language: sh, code: 'printf a; printf b >&2; exit 1' }, return: all } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { code: 1, stdout: a, stderr: b }
    """

  Scenario: Or nothing
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - hi: { run: { script: { language: sh, code: 'exit 0' }, return: none } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    null
    """

  Scenario: Arguments and environment are expressions, and no shell reads them
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - hi: { run: { script: { language: sh, code: 'printf "%s-%s" "$1" "$WHO"', arguments: ['${ .a }'], environment: { WHO: '${ .b }' } }, return: stdout } }
    """
    And given the workflow input is:
    """yaml
    { a: '$(id)', b: '; id' }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    '$(id)-; id'
    """

  Scenario: Standard input is given
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - hi: { run: { script: { language: python, code: 'import sys; print(sys.stdin.read()[::-1], end="")', stdin: '${ .text }' }, return: stdout } }
    """
    And given the workflow input is:
    """yaml
    { text: abc }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    cba
    """

  Scenario: A command has its arguments
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - hi: { run: { shell: { command: printf, arguments: ['%s', word] }, return: stdout } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    word
    """

  Scenario: A script may stand in a document
    Given the document 'scripts/hi.sh' is:
    """yaml
    printf from-file
    """
    And a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - hi: { run: { script: { language: sh, source: { endpoint: scripts/hi.sh } }, return: stdout } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    from-file
    """

  Scenario: What one leaves in the workspace the next finds
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: run
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - one: { run: { script: { language: sh, code: 'printf kept > file' } } }
      - two: { run: { shell: { command: cat, arguments: [file] }, return: stdout } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    kept
    """
