// Runs once the page is there.

// Screen readers read results aloud as they come.
document.getElementById("result").setAttribute("aria-live", "polite");

// Gradio takes files for audio by their type alone, and browsers call WebM, MP4 and 3GP video, and CAF nothing at all.
// The server decides by content, so every file goes there as audio.
const asAudio = (files) => {
    const transfer = new DataTransfer();
    for (const file of files) {
        transfer.items.add(new File([file], file.name, { type: "audio/wav" }));
    }
    return transfer.files;
};

const chooser = "#recording input[type=file]";
document.addEventListener("click", () => document.querySelector(chooser)?.removeAttribute("accept"), true);
document.addEventListener("change", (event) => {
    if (event.target.matches?.(chooser) && event.target.files.length) {
        event.target.files = asAudio(event.target.files);
    }
}, true);
document.addEventListener("drop", (event) => {
    const input = document.querySelector(chooser);
    if (input && event.target.closest?.("#recording") && event.dataTransfer.files.length) {
        event.preventDefault();
        event.stopPropagation();
        input.files = event.dataTransfer.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
    }
}, true);
