"""Tables, figures and documents; never imports torch.

Data flow, one module per step; every step reads files and writes files:

==============================================  ================================================
``collect.write(suite, results, allow_mixed)``  run directories -> ``results/<suite>/*.csv``
``tables.write(name, folder)``                  those -> ``tables/<name>.tex`` and ``.html``
``figures.write(name, folder)``                 those -> ``figures/<name>.pdf`` and ``.png``
``html.write(suite, folder)``                   all of them -> ``report.html``
``pdf.write(suite, folder)``                    all of them -> ``report.pdf`` (or why there is none)
``errata.write(path)``                          published numbers -> ``docs/errata.md``
==============================================  ================================================

``tables.names(suite)`` and ``figures.names(suite)`` say what a suite has; ``collect.OUTPUTS`` and
``pdf.output_name()`` name the files. ``folder`` is ``results/<suite>``.
"""
