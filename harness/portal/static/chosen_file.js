// A file that is chosen is put into a field of text, where it can be read before it is sent.

for (const chooser of document.querySelectorAll("input[type=file][data-fills]")) {
  chooser.addEventListener("change", async () => {
    const field = document.getElementById(chooser.dataset.fills);
    if (chooser.files.length) field.value = await chooser.files[0].text();
  });
}
